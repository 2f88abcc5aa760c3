// The memory of a module that may not grow: every growth that a load asks for is refused once, by a
// module whose memory has that little as its maximum. Then the load is refused with out_of_memory,
// and everything else goes on.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { assertBytes, packageFolder, refusal, sample, temporaryFolder } from './support.mjs';

const { open, inspect, BallastError } = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);
const BINARY = fs.readFileSync(path.join(packageFolder, 'dist/ballast-all.wasm'));

const PAGE = 64 << 10;
const MEMORY_SECTION = 5;
const HAS_MAXIMUM = 1;

/** An unsigned LEB128 number, and the position behind it (the WebAssembly specification, 5.2.2). */
function number(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function encoded(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** Where the memory section lies, and with how many pages its memory begins. */
function memorySection(bytes) {
  for (let at = 8; at < bytes.length;) {
    const [size, content] = number(bytes, at + 1);
    if (bytes[at] === MEMORY_SECTION) {
      const [count, flags] = number(bytes, content);
      assert.deepEqual([count, bytes[flags]], [1, HAS_MAXIMUM]);
      return { begin: at, end: content + size, minimum: number(bytes, flags + 1)[0] };
    }
    at = content + size;
  }
  return assert.fail('there is no memory');
}

const MEMORY = memorySection(BINARY);

/** The module of the package, with a memory of no more than so many pages. */
function limited(pages) {
  const content = [1, HAS_MAXIMUM, ...encoded(MEMORY.minimum), ...encoded(pages)];
  const section = Buffer.from([MEMORY_SECTION, ...encoded(content.length), ...content]);
  return Buffer.concat([BINARY.subarray(0, MEMORY.begin), section, BINARY.subarray(MEMORY.end)]);
}

/** A model with one tensor of so many bytes, which do not compress to nothing. */
function model(size) {
  const data = Buffer.alloc(size);
  for (let i = 0, state = 1; i < size; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  const header = Buffer.from(JSON.stringify({ weight: { dtype: 'U8', shape: [size], data_offsets: [0, size] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, data]);
}

const SIZE = 3 << 20;
const MODEL = model(SIZE);
const GZIP = zlib.gzipSync(MODEL, { level: 1 });
const ZLIB = zlib.deflateSync(MODEL, { level: 1 });

async function assertRefused(load, what) {
  const error = await refusal(load);
  assert.ok(error instanceof BallastError, `${what}: ${error}`);
  assert.equal(error.code, 'out_of_memory', `${what}: ${error}`);
  assert.ok(error.message.length > 0);
}

/** A small model is opened as ever: by the package's own module, and in the memory that was too small. */
async function assertUsable(wasmModule) {
  for (const options of [{}, { wasmModule }]) {
    const small = await open(sample('tiny.gguf'), options);
    assertBytes(small, sample('tiny.gguf'));
    small.close();
  }
}

const SOURCES = {
  'a typed array': () => MODEL,
  'a Blob': () => new Blob([MODEL]),
  'a stream of pieces': () => new Blob([MODEL]).stream(),
  gzip: () => GZIP,
  zlib: () => ZLIB,
};

/** Whether a model is loaded in so little memory, and right; else it was refused as it should be. */
async function isLoaded(source, pages) {
  const wasmModule = await WebAssembly.compile(limited(pages));
  let loaded;
  try {
    loaded = await open(source(), { wasmModule });
  } catch (error) {
    await assertRefused(() => { throw error; }, `${pages} pages`);
    return false;
  }
  assert.ok(Buffer.from(loaded.tensors[0].bytes()).equals(MODEL.subarray(MODEL.length - SIZE)));
  loaded.close();
  return true;
}

for (const [kind, source] of Object.entries(SOURCES)) {
  test(`every growth of the memory that a load asks for may be refused: ${kind}`, async () => {
    let pages = MEMORY.minimum;
    while (!(await isLoaded(source, pages))) {
      ++pages;
      assert.ok(pages < MEMORY.minimum + 4 * MODEL.length / PAGE, 'it takes more than it should');
    }
    assert.ok(pages > MODEL.length / PAGE, `${pages} pages cannot be enough`);
    assert.ok(await isLoaded(source, pages + 16));
    await assertUsable(await WebAssembly.compile(limited(pages - 1)));
  });
}

test('a module that was refused memory once serves small models, and large ones are refused again', async () => {
  const wasmModule = await WebAssembly.compile(limited(MEMORY.minimum + 8));
  for (let round = 0; round < 40; ++round) {
    await assertRefused(() => open(MODEL, { wasmModule }), `round ${round}`);
    if (round % 10 === 0) await assertUsable(wasmModule);
  }
});

test('a directory that needs no more than it has is read in a memory that cannot grow', async (t) => {
  const file = path.join(temporaryFolder(t), 'model.safetensors');
  fs.writeFileSync(file, MODEL);
  const wasmModule = await WebAssembly.compile(limited(MEMORY.minimum));
  await assertRefused(() => open(file, { wasmModule }), 'a model');
  const head = await inspect(file, { wasmModule });
  assert.equal(head.tensors[0].name, 'weight');
  head.close();
});
