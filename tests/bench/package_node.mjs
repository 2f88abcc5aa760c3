// What a load costs in Node. A process of its own for each figure: the first touch of memory is most of the time, and
// the peak is the process's. bench.py runs it.
//
//     package_node.mjs PACKAGE WAY SOURCE FILE   prints: milliseconds; growth of the peak of the resident set over the
//                                                process that is ready to load; bytes of the model
//
// PACKAGE is the folder of the installed package, FILE the file that SOURCE, a path or a URL, leads to. Each way ends
// with all of it in a WebAssembly memory, and is held against the file:
//
//     open         open(SOURCE)
//     readSync     of a path: into a memory of exactly its size, 16 MiB at once, without a copy
//     readFile     of a path: readFileSync(), and then set() into such a memory
//     arrayBuffer  of a URL: fetch(), arrayBuffer(), and then set()
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const PIECE = 16 << 20;
const [folder, way, source, file] = process.argv.slice(2);
const { size } = fs.statSync(file);
const { open } = await import(pathToFileURL(path.join(folder, 'dist/node.js')));

/** A memory of exactly the size of the file. */
const memory = () => new Uint8Array(new WebAssembly.Memory({ initial: Math.ceil(size / 65536) }).buffer, 0, size);

function readInto(bytes, name) {
  const descriptor = fs.openSync(name);
  for (let done = 0; done < size; ) done += fs.readSync(descriptor, bytes, done, Math.min(PIECE, size - done), done);
  fs.closeSync(descriptor);
  return bytes;
}

function copied(bytes) {
  const heap = memory();
  heap.set(bytes);
  return heap;
}

const ways = {
  open: () => open(source),
  readSync: () => readInto(memory(), source),
  readFile: () => copied(fs.readFileSync(source)),
  arrayBuffer: async () => copied(new Uint8Array(await (await fetch(source)).arrayBuffer())),
};

/** A line of /proc/self/status in bytes. VmHWM is this program's alone; maxRSS also counts what started it. */
function status(name) {
  const text = fs.readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)[1]) * 1024;
}

/** The file as it lies in the memory of a model. */
function fileIn({ tensors: [tensor] }) {
  const { buffer, byteOffset } = tensor.bytes();
  return new Uint8Array(buffer, byteOffset - tensor.byteOffset, size);
}

fs.writeFileSync('/proc/self/clear_refs', '5'); // the peak begins here
const idle = status('VmRSS');
const start = performance.now();
const loaded = await ways[way]();
const milliseconds = performance.now() - start;
const growth = status('VmHWM') - idle;

if (Buffer.compare(fs.readFileSync(file), loaded instanceof Uint8Array ? loaded : fileIn(loaded)) !== 0) {
  throw new Error(`${way}: these are other bytes`);
}
console.log(milliseconds, growth, size);
