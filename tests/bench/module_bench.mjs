// What the module of the C API costs in Node. A process of its own for each figure; bench.py runs it.
//
//     module_bench.mjs MODULE load FILE ROUNDS   prints: the time of a bare readSync into the same
//                                                heap over that of prepare, readSync and commit
//                                                (median of the rounds; 1 is as fast), and GB/s of both
//     module_bench.mjs MODULE memory FILE        prints: growth of the peak of the resident set, over
//                                                the idle module, while FILE is loaded; bytes of the
//                                                model in it
//     module_bench.mjs MODULE open FILE ROUNDS   prints: median milliseconds of opening FILE from
//                                                memory, after a warm-up of a third of the rounds
//     module_bench.mjs MODULE decode FILE ROUNDS PEER   like load, of the compressed FILE, whose bytes
//                                                are in JavaScript already and come 256 KiB at once;
//                                                beside the codec alone: PEER, bench-codec-module.mjs
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Ballast } from '../web/binding.mjs';

const PIECE = 16 << 20;
const CHUNK = 256 << 10;
const [folder, mode, file, rounds, peerPath] = process.argv.slice(2);
const ballast = await Ballast.load(folder);

const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

/** By the clock that measure.hpp has. */
function now() {
  if (process.env.BALLAST_BENCH_CLOCK !== 'cpu') return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function milliseconds(work) {
  const start = now();
  work();
  return now() - start;
}

/** Loads the file as a user does, and gives the memory back. */
function load() {
  ballast.call('data_close', ballast.fromFile(file, undefined, PIECE));
}

/** Reads the file into the heap, and nothing else. */
function bare(size) {
  const at = ballast.malloc(size);
  const descriptor = fs.openSync(file);
  for (let done = 0; done < size; ) {
    done += fs.readSync(descriptor, ballast.heap, at + done, Math.min(PIECE, size - done), done);
  }
  fs.closeSync(descriptor);
  ballast.free(at);
}

/** Prints the median ratio of two ways to get at that many bytes, and the speed of both. */
function printRatio(size, ours, plain) {
  const times = { ours: [], plain: [] };
  ours();
  plain();
  for (let i = 0; i < Number(rounds); ++i) {
    // First one ahead and then the other, so that neither has the warmer machine.
    if (i % 2 === 0) times.plain.push(milliseconds(plain));
    times.ours.push(milliseconds(ours));
    if (i % 2 !== 0) times.plain.push(milliseconds(plain));
  }
  const ratios = times.ours.map((time, i) => times.plain[i] / time);
  console.log(median(ratios), size / median(times.ours) / 1e6, size / median(times.plain) / 1e6);
}

function printLoad() {
  const { size } = fs.statSync(file);
  printRatio(size, load, () => bare(size));
}

/** The number of a codec by the first byte of its files (ballast/compression.hpp). */
const CODECS = { 0x1f: 1, 0x78: 2, 0x42: 3, 0xfd: 4, 0x28: 5, 0x04: 6 };

async function printDecode() {
  const create = (await import(pathToFileURL(peerPath))).default;
  const peer = await create({ wasmBinary: fs.readFileSync(peerPath.replace(/mjs$/, 'wasm')) });
  const bytes = fs.readFileSync(file);
  const ours = () => ballast.fromBytes(bytes, CHUNK);
  const first = ours();
  const { size, bytes: at } = fileOf(first);
  const plain = (check) => {
    const chunk = peer._malloc(CHUNK) >>> 0;
    const out = peer._malloc(size) >>> 0;
    peer._codec_begin(CODECS[bytes[0]], out, size);
    for (let done = 0; done < bytes.length; done += CHUNK) {
      const piece = bytes.subarray(done, done + CHUNK);
      peer.HEAPU8.set(piece, chunk);
      peer._codec_push(chunk, piece.length);
    }
    if (peer._codec_end() !== 0) throw new Error('the peer decodes something else');
    check?.(peer.HEAPU8.subarray(out, out + size));
    peer._free(out);
    peer._free(chunk);
  };
  plain((decoded) => {
    if (Buffer.compare(decoded, ballast.bytes(at, size)) !== 0) throw new Error('they differ');
  });
  ballast.call('data_close', first);
  printRatio(size, () => ballast.call('data_close', ours()), () => plain());
}

function fileOf(data) {
  const out = ballast.malloc(256);
  ballast.call('data_file', data, out);
  const found = ballast.structure('file', out);
  ballast.free(out);
  return found;
}

function printMemory() {
  const peak = () => process.resourceUsage().maxRSS * 1024;
  const before = peak();
  const data = ballast.fromFile(file, undefined, PIECE);
  const { size } = fileOf(data);
  ballast.model([data]);
  console.log(peak() - before, size);
}

function printOpen() {
  const data = ballast.fromFile(file);
  const { bytes, size } = fileOf(data);
  const out = ballast.malloc(16);
  const once = () => {
    ballast.must('data_from_memory', bytes, size, 0, 0, out);
    ballast.model([ballast.pointer(out)]).close();
  };
  for (let i = 0; i < Number(rounds) / 3; ++i) once();
  console.log(median(Array.from({ length: Number(rounds) }, () => milliseconds(once))));
}

await { load: printLoad, memory: printMemory, open: printOpen, decode: printDecode }[mode]();
