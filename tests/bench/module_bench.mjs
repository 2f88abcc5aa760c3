// What the module of the C API costs in Node. A process of its own for each figure; bench.py runs it.
//
//     module_bench.mjs MODULE load FILE ROUNDS   prints: the time of a bare readSync into the same
//                                                heap over that of prepare, readSync and commit
//                                                (median of the rounds; 1 is as fast), and GB/s of both
//     module_bench.mjs MODULE memory FILE        prints: growth of the peak of the resident set, over
//                                                the idle module, while FILE is loaded; bytes of FILE
//     module_bench.mjs MODULE open FILE ROUNDS   prints: median milliseconds of opening FILE from
//                                                memory, after a warm-up of a third of the rounds
import fs from 'node:fs';
import { Ballast } from '../web/binding.mjs';

const PIECE = 16 << 20;
const [folder, mode, file, rounds] = process.argv.slice(2);
const ballast = await Ballast.load(folder);

const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

function milliseconds(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Loads the file as a user does, and gives the memory back. */
function load() {
  ballast.call('data_close', ballast.fromFile(file, undefined, PIECE));
}

/** Reads the file into the heap, and nothing else. */
function bare(size) {
  const at = ballast.module._malloc(size) >>> 0;
  const descriptor = fs.openSync(file);
  for (let done = 0; done < size; ) {
    done += fs.readSync(descriptor, ballast.heap, at + done, Math.min(PIECE, size - done), done);
  }
  fs.closeSync(descriptor);
  ballast.module._free(at);
}

function printLoad() {
  const { size } = fs.statSync(file);
  const times = { ours: [], plain: [] };
  load();
  bare(size);
  for (let i = 0; i < Number(rounds); ++i) {
    // First one ahead and then the other, so that neither has the warmer machine.
    if (i % 2 === 0) times.plain.push(milliseconds(() => bare(size)));
    times.ours.push(milliseconds(load));
    if (i % 2 !== 0) times.plain.push(milliseconds(() => bare(size)));
  }
  const ratios = times.ours.map((ours, i) => times.plain[i] / ours);
  console.log(median(ratios), size / median(times.ours) / 1e6, size / median(times.plain) / 1e6);
}

function printMemory() {
  const peak = () => process.resourceUsage().maxRSS * 1024;
  const before = peak();
  const data = ballast.fromFile(file, undefined, PIECE);
  ballast.model([data]);
  console.log(peak() - before, fs.statSync(file).size);
}

function printOpen() {
  const data = ballast.fromFile(file);
  const out = ballast.module._malloc(256) >>> 0;
  ballast.call('data_file', data, out);
  const { bytes, size } = ballast.structure('file', out);
  const once = () => {
    ballast.must('data_from_memory', bytes, size, 0, 0, out);
    ballast.model([ballast.pointer(out)]).close();
  };
  for (let i = 0; i < Number(rounds) / 3; ++i) once();
  console.log(median(Array.from({ length: Number(rounds) }, () => milliseconds(once))));
}

({ load: printLoad, memory: printMemory, open: printOpen })[mode]();
