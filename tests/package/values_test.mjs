// The values of tensors and their statistics, in Node: of every dtype, of rows, of loaded models and of directories.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { serve } from './server.mjs';
import { corpus, packageFolder } from './support.mjs';
import { difference, gguf, half, pack, q8, safetensors } from './values_models.mjs';

const { open, inspect } = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);

const Q8_0 = 8;
const SCALES = [0x3c00, 0x2e66, 0x8001, 0x7bff, 0x0000, 0x8000, 0x1234, 0xc500, 0x3555, 0x0400];
const WIDE = q8(SCALES, (i) => ((i * 37) % 255) - 127);
const MODEL = gguf(Q8_0, [64, 5], WIDE.data);

async function valuesOf(bytes, options) {
  const model = await open(bytes);
  try {
    return await model.tensor('t').values(options);
  } finally {
    model.close();
  }
}

const refused = (code, more = {}) => (error) => {
  assert.equal(error.code, code, error.message);
  for (const [key, value] of Object.entries(more)) assert.equal(error[key], value, key);
  return true;
};

test('a quantized tensor gives Float32Array, which outlives the model', async () => {
  const values = await valuesOf(MODEL);
  assert.ok(values instanceof Float32Array);
  assert.equal(difference(values, WIDE.values), -1);
  assert.equal(values.buffer.byteLength, 4 * WIDE.values.length);
});

test('rows are those of the contiguous dimension, in both formats', async () => {
  const model = await open(MODEL);
  const tensor = model.tensor('t');
  assert.deepEqual([tensor.rowElements, tensor.rowCount], [64, 5]);
  for (let begin = 0; begin <= 5; ++begin) {
    for (let end = begin; end <= 5; ++end) {
      const values = await tensor.values({ rows: [begin, end] });
      assert.equal(difference(values, WIDE.values.subarray(64 * begin, 64 * end)), -1, `${begin}:${end}`);
    }
  }
  model.close();
  const codes = Array.from({ length: 12 }, (_, i) => i);
  const odd = await open(safetensors('F4', [4, 3], pack(4, codes)));
  const all = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5];
  for (let begin = 0; begin <= 4; ++begin) {
    const values = await odd.tensor('t').values({ rows: [begin, 4] });
    assert.equal(difference(values, Float32Array.from(all.slice(3 * begin))), -1, `row ${begin}, inside a byte`);
  }
  odd.close();
});

test('half precision is rounded to the nearest, ties to even', async () => {
  const inputs = [1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25, 3 * 2 ** -25, -0, Infinity, NaN, 1 + 2 ** -8, 1 + 3 * 2 ** -8];
  const bytes = Buffer.from(Float32Array.from(inputs).buffer);
  const f16 = await valuesOf(safetensors('F32', [12], bytes), { as: 'f16' });
  const bits = new Uint16Array(f16.buffer);
  assert.deepEqual([...bits].slice(0, 9), [0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 0x0000, 0x0002, 0x8000, 0x7c00]);
  assert.ok(Number.isNaN(half(bits[9])));
  assert.equal(f16.constructor.name, globalThis.Float16Array ? 'Float16Array' : 'Uint16Array');
  const bf16 = await valuesOf(safetensors('F32', [12], bytes), { as: 'bf16' });
  assert.deepEqual([...bf16].slice(10), [0x3f80, 0x3f82]);
  const own = await valuesOf(safetensors('F16', [2], Buffer.from([1, 0x7d, 0, 0x3c])), { as: 'f16' });
  assert.deepEqual([...new Uint16Array(own.buffer)], [0x7d01, 0x3c00], 'F16 keeps its bits');
});

test('integers come as they are where float does not hold them', async () => {
  const i64 = await valuesOf(safetensors('I64', [2], Buffer.from(BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n).buffer)));
  assert.deepEqual(i64, BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n));
  const u32 = await valuesOf(safetensors('U32', [2], Buffer.from(Uint32Array.of(2 ** 32 - 1, 16777217).buffer)));
  assert.deepEqual(u32, Uint32Array.of(2 ** 32 - 1, 16777217));
  const i16 = await valuesOf(safetensors('I16', [2], Buffer.from(Int16Array.of(-32768, 7).buffer)));
  assert.deepEqual(i16, Float32Array.of(-32768, 7));
  const f64 = Buffer.from(Float64Array.of(0.1, 1e300).buffer);
  assert.deepEqual(await valuesOf(safetensors('F64', [2], f64)), Float32Array.of(0.1, Infinity));
  assert.deepEqual(await valuesOf(safetensors('F64', [2], f64), { as: 'own' }), Float64Array.of(0.1, 1e300));
  assert.deepEqual(await valuesOf(safetensors('BOOL', [3], Buffer.from([0, 1, 2]))), Float32Array.of(0, 1, 1));
  const c64 = Buffer.from(Float32Array.of(1, -2, 3, -4).buffer);
  assert.deepEqual(await valuesOf(safetensors('C64', [2, 1], c64), { rows: [1, 2] }), Float32Array.of(3, -4));
});

test('an array of the caller is filled, and only one that fits', async () => {
  const into = new Float32Array(128).fill(7);
  assert.equal(await valuesOf(MODEL, { rows: [1, 3], into }), into);
  assert.equal(difference(into, WIDE.values.subarray(64, 192)), -1);
  await assert.rejects(valuesOf(MODEL, { into }), refused('wrong_length', { expected: 320, actual: 128, tensor: 't' }));
  await assert.rejects(valuesOf(MODEL, { rows: [1, 3], into: new Float64Array(128) }), refused('wrong_type'));
});

test('what cannot be is refused, and says what and why', async () => {
  await assert.rejects(valuesOf(MODEL, { rows: [0, 6] }), refused('rows_outside', { expected: 5, actual: 5, tensor: 't' }));
  await assert.rejects(valuesOf(MODEL, { rows: [3, 2] }), refused('misuse'));
  await assert.rejects(valuesOf(MODEL, { rows: [0.5, 1] }), refused('misuse'));
  await assert.rejects(valuesOf(MODEL, { as: 'f8' }), refused('misuse'));
  await assert.rejects(valuesOf(MODEL, { as: 'own' }), refused('wrong_type'));
  await assert.rejects(valuesOf(safetensors('I32', [1], Buffer.alloc(4)), { as: 'f32' }), refused('wrong_type'));
  const removed = await open(gguf(4, [32], Buffer.alloc(0)));
  await assert.rejects(removed.tensor('t').values(), refused('unknown_dtype', { tensor: 't' }));
  await assert.rejects(removed.tensor('t').stats(), refused('unknown_dtype', { tensor: 't' }));
  removed.close();
  const closed = await open(MODEL);
  const tensor = closed.tensor('t');
  closed.close();
  await assert.rejects(tensor.values(), refused('closed'));
  await assert.rejects(tensor.stats(), refused('closed'));
});

test('statistics count, and their bins hold every number', async () => {
  const numbers = Float32Array.of(1, 2, 3, -4, 0, -0, NaN, Infinity, -Infinity, -Infinity);
  const model = await open(safetensors('F32', [2, 5], Buffer.from(numbers.buffer)));
  const stats = await model.tensor('t').stats();
  const { histogram, standardDeviation, ...rest } = stats;
  assert.deepEqual(rest, { count: 10, nan: 1, positiveInfinity: 1, negativeInfinity: 2, zero: 2, min: -4, max: 3, mean: 2 / 6 });
  assert.ok(Math.abs(standardDeviation / Math.sqrt(30 / 6 - (2 / 6) ** 2) - 1) < 1e-15);
  assert.equal(histogram.binWidth, 2 ** -6, 'the smallest power of two that leaves 4 inside');
  const at = (value) => histogram.counts[(value < 0 ? -1 - Math.floor(-value / histogram.binWidth) : Math.floor(value / histogram.binWidth)) - histogram.first];
  assert.deepEqual([1, 2, 3, -4, 0].map(at), [1, 1, 1, 1, 2]);
  assert.equal(histogram.counts.reduce((sum, count) => sum + count), 6);
  assert.equal((await model.tensor('t').stats({ rows: [0, 1] })).mean, 2 / 5);
  assert.equal((await model.tensor('t').stats({ rows: [1, 1] })).count, 0);
  model.close();
});

test('statistics are taken of every dtype, integers of 64 bits too, and several at a time', async () => {
  const long = await open(safetensors('I64', [3], Buffer.from(BigInt64Array.of(-(2n ** 63n), 0n, 5n).buffer)));
  const model = await open(MODEL);
  const [ours, other, again] = await Promise.all([model.tensor('t').stats(), long.tensor('t').stats(), model.tensor('t').stats()]);
  assert.deepEqual(ours, again);
  assert.equal(ours.max, Math.max(...WIDE.values));
  assert.deepEqual([other.min, other.max, other.zero], [-(2 ** 63), 5, 1]);
  model.close();
  long.close();
});

test('a directory fetches the bytes of the rows, and no others', async () => {
  const rows = 4096;
  const { data, values } = q8(Array.from({ length: 2 * rows }, (_, i) => SCALES[i % SCALES.length]), (i) => (i % 251) - 125);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-'));
  const server = await serve({ models: folder });
  try {
    fs.writeFileSync(path.join(folder, 'rows.gguf'), gguf(Q8_0, [64, rows], data));
    fs.writeFileSync(path.join(folder, 'rows.gguf.gz'), zlib.gzipSync(gguf(Q8_0, [64, rows], data)));
    const large = 150_000; // rows of 68 bytes: more than is read at once
    fs.writeFileSync(path.join(folder, 'large.gguf.gz'), zlib.gzipSync(gguf(Q8_0, [64, large], Buffer.alloc(68 * large)), { level: 1 }));
    const head = await inspect(`${server.origin}/models/rows.gguf`);
    const seen = server.log.length;
    const tensor = head.tensor('t');
    assert.equal(difference(await tensor.values({ rows: [4000, 4003] }), values.subarray(64 * 4000, 64 * 4003)), -1);
    const asked = server.log.slice(seen).map(({ range }) => range);
    const begin = tensor.byteOffset + 4000 * 68;
    assert.deepEqual(asked, [`bytes=${begin}-${begin + 3 * 68 - 1}`]);
    const progress = [];
    const all = await tensor.stats({ onProgress: (now) => progress.push(now) });
    assert.equal(all.count, values.length);
    assert.deepEqual([progress.at(-1).loaded, progress.at(-1).total], [data.length, data.length]);
    head.close();
    const packed = await inspect(`${server.origin}/models/large.gguf.gz`);
    const before = server.log.length;
    assert.equal((await packed.tensor('t').stats()).count, 64 * large);
    assert.equal(server.log.length - before, 1, 'what cannot be had in parts comes once');
    packed.close();
    for (const file of ['rows.gguf', 'rows.gguf.gz']) {
      const local = await inspect(path.join(folder, file));
      assert.equal(difference(await local.tensor('t').values({ rows: [1, 2] }), values.subarray(64, 128)), -1, file);
      local.close();
    }
  } finally {
    await server.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('the bytes of rows are fetched alone, where they are theirs alone', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-rows-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.writeFileSync(path.join(folder, 'rows.gguf'), gguf(Q8_0, [64, 5], WIDE.data));
  fs.writeFileSync(path.join(folder, 'rows.gguf.gz'), zlib.gzipSync(gguf(Q8_0, [64, 5], WIDE.data)));
  for (const name of ['rows.gguf', 'rows.gguf.gz']) {
    const head = await inspect(path.join(folder, name));
    const tensor = head.tensor('t');
    for (let begin = 0; begin <= 5; ++begin) {
      for (let end = begin; end <= 5; ++end) {
        const bytes = await tensor.read({ rows: [begin, end] });
        assert.deepEqual(Buffer.from(bytes), WIDE.data.subarray(68 * begin, 68 * end), `${name}, ${begin}:${end}`);
      }
    }
    await assert.rejects(tensor.read({ rows: [4, 6] }), refused('rows_outside', { expected: 5, actual: 5, tensor: 't' }));
    for (const rows of [[-1, 2], [2, 1], [0.5, 1], [NaN, 1], [0, Infinity]]) {
      await assert.rejects(tensor.read({ rows }), refused('misuse', { tensor: 't' }), String(rows));
    }
    head.close();
  }
  const odd = await inspect(safetensors('F4', [4, 3], pack(4, Array.from({ length: 12 }, (_, i) => i))));
  assert.deepEqual([...await odd.tensor('t').read({ rows: [2, 4] })], [0x76, 0x98, 0xba]);
  await assert.rejects(odd.tensor('t').read({ rows: [1, 2] }), refused('misuse'), 'a row that begins inside a byte');
  odd.close();
  const none = await inspect(safetensors('F32', [0, 3], Buffer.alloc(0)));
  assert.equal((await none.tensor('t').read({ rows: [0, 0] })).length, 0);
  none.close();
});

test('work on a big tensor can be given up, and leaves others their turn', async () => {
  const rows = 1 << 14;
  const data = Buffer.alloc(34 * 32 * rows, 0x21);
  const model = await open(gguf(Q8_0, [1024, rows], data));
  const control = new AbortController();
  let turns = 0;
  const timer = setInterval(() => (++turns === 2 ? control.abort(new Error('enough')) : undefined));
  await assert.rejects(async () => {
    for (;;) await model.tensor('t').stats({ signal: control.signal });
  }, /enough/);
  clearInterval(timer);
  await assert.rejects(model.tensor('t').values({ signal: AbortSignal.abort(new Error('before')) }), /before/);
  const after = await model.tensor('t').stats({ rows: [0, 1] });
  assert.equal(after.count, 1024, 'one that was given up leaves nothing behind');
  model.close();
});

test('every type of the corpus, bit for bit', { skip: corpus ? false : 'there is no corpus' }, async () => {
  const folder = path.join(corpus, 'values');
  const lines = fs.readFileSync(path.join(folder, 'index.tsv'), 'utf8').trim().split('\n').slice(1).map((line) => line.split('\t'));
  assert.ok(lines.length >= 37);
  for (const [name, id, , elements, size] of lines) {
    const blocks = fs.readFileSync(path.join(folder, `${name}.blocks`));
    const truth = new Float32Array(new Uint8Array(fs.readFileSync(path.join(folder, `${name}.f32`))).buffer);
    const bits = name === 'F4' ? 4 : name.startsWith('F6') ? 6 : 8;
    const model = /^F[468]/.test(name) ? safetensors(name, [truth.length], bits === 8 ? blocks : pack(bits, [...blocks]))
      : gguf(Number(id), [(blocks.length / Number(size)) * Number(elements)], blocks);
    assert.equal(difference(await valuesOf(model), truth), -1, name);
  }
});
