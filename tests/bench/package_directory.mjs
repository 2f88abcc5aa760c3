// What reading a directory costs in Node, beside @huggingface/gguf in the same process; bench.py runs it.
//
//     package_directory.mjs PACKAGE SOURCE ROUNDS   prints four triples of numbers: the median over the rounds of the
//                                                   peer's time over ours, and the medians, ours and the peer's, in ms:
//                                                   of inspect(), tensors and metadata listed, as it is used: arrays
//                                                   stay in the file until they are asked for; the same, and all
//                                                   tokens as strings; the same, and every array decoded, as the peer
//                                                   does; and of the first call of the process
//
// PACKAGE is the folder of the installed package, SOURCE a path or a URL of a GGUF. Both must find the same in it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, source, rounds] = process.argv.slice(2);
const { inspect } = await import(pathToFileURL(path.join(folder, 'dist/node.js')));
const { gguf } = createRequire(new URL('../../web/package.json', import.meta.url))('@huggingface/gguf');
const TOKENS = 'tokenizer.ggml.tokens';
// What the peer lists beside the metadata of the file.
const OF_THE_PEER = ['version', 'tensor_count', 'kv_count'];

/** What is found: names of tensors, and the metadata, of whose arrays `decode` makes what it likes. */
async function ours(decode) {
  const head = await inspect(source);
  const tensors = head.tensors.map(({ name }) => name);
  const metadata = {};
  for (const [key, value] of head.metadata) metadata[key] = typeof value === 'object' ? decode(key, value) : value;
  head.close();
  return { tensors, metadata };
}

const lengths = (key, array) => array.length;
const tokens = (key, array) => (key === TOKENS ? [...array] : array.length);
const everything = (key, array) => [...array];

async function theirs() {
  const { metadata, tensorInfos } = await gguf(source, { allowLocalFile: !source.startsWith('http') });
  for (const key of OF_THE_PEER) delete metadata[key];
  return { tensors: tensorInfos.map(({ name }) => name), metadata };
}

async function timed(work) {
  const start = performance.now();
  const found = await work();
  return { found, time: performance.now() - start };
}

const WAYS = [() => ours(lengths), () => ours(tokens), () => ours(everything), theirs];

const first = [await timed(WAYS[0]), await timed(theirs)];
assert.deepEqual((await ours(everything)), first[1].found);
assert.deepEqual(first[0].found.tensors, first[1].found.tensors);

const times = WAYS.map(() => []);
for (let round = 0; round < Number(rounds); ++round) {
  // Each comes first once, and so has the memory that the others left.
  for (let i = 0; i < WAYS.length; ++i) {
    const way = (round + i) % WAYS.length;
    times[way].push((await timed(WAYS[way])).time);
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const peer = times.pop();
for (const mine of times) {
  console.log(median(mine.map((time, i) => peer[i] / time)), median(mine), median(peer));
}
console.log(first[1].time / first[0].time, first[0].time, first[1].time);
