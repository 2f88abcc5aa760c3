// Values of a dtype in Node, from a model in memory into an array that is there: seconds of values(), of stats(), and
// of as many values in the module alone, which decodes the same pieces without JavaScript around it.
//
//   node package_values.mjs PACKAGE DTYPE ROUNDS
import fs from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';

const [, , folder, dtype, rounds] = process.argv;
const { open } = await import(pathToFileURL(path.join(folder, 'dist/node.js')).href);
const VALUES = 32 << 20;

/** As bench-values makes them. */
function makeBlocks(size) {
  const bytes = Buffer.alloc(size);
  let state = 1;
  for (let i = 0; i < size; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = 0x20 + ((state >>> 16) % 28);
  }
  return bytes;
}

const number = (size, value) => {
  const bytes = Buffer.alloc(size);
  if (size === 4) bytes.writeUInt32LE(value);
  else bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** In GGUF by its number and size, in safetensors by its name. */
const GGUF = { F32: [0, 1, 4], F16: [1, 1, 2], BF16: [30, 1, 2], Q8_0: [8, 32, 34], Q4_0: [2, 32, 18], Q4_K: [12, 256, 144], Q6_K: [14, 256, 210], IQ2_XXS: [16, 256, 66], IQ4_XS: [23, 256, 136], MXFP4: [39, 32, 17] };
const [id, elements, size] = GGUF[dtype];
const head = Buffer.concat([Buffer.from('GGUF'), number(4, 3), number(8, 1), number(8, 0), number(8, 1), Buffer.from('t'), number(4, 1), number(8, VALUES), number(4, id), number(8, 0)]);
const start = Buffer.alloc(Math.ceil(head.length / 32) * 32);
head.copy(start);
const model = await open(Buffer.concat([start, makeBlocks((VALUES / elements) * size)]));
const tensor = model.tensor('t');
const into = new Float32Array(VALUES).fill(1);
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
const timed = async (work) => {
  const before = performance.now();
  await work();
  return (performance.now() - before) / 1000;
};

/** The module alone, with blocks put in once: a function that decodes as many values. */
function decoder(blocks) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(path.join(folder, 'dist/ballast-values.wasm'))));
  exports._initialize();
  const put = (bytes) => new Uint8Array(exports.memory.buffer).set(bytes, exports.ballast_values_input());
  const dtypeName = new TextEncoder().encode(dtype);
  put(dtypeName);
  const known = exports.ballast_values_dtype(dtypeName.length) % 256;
  const piece = exports.ballast_values_piece();
  put(blocks.subarray(0, (piece / elements) * size));
  return () => {
    for (let at = 0; at < VALUES; at += piece) exports.ballast_values_decode(known, 0, piece, 0);
  };
}
const decode = decoder(makeBlocks((1 << 16) * 8));

const values = [];
const stats = [];
const module = [];
for (let i = 0; i <= Number(rounds); ++i) {
  const seconds = [await timed(() => tensor.values({ into })), await timed(() => tensor.stats()), await timed(decode)];
  if (i === 0) continue; // compiled meanwhile
  values.push(seconds[0]);
  stats.push(seconds[1]);
  module.push(seconds[2]);
}
console.log(`${median(values)} ${median(stats)} ${median(module)}`);
