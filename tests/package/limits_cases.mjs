// What options may say, one budget for all files of a model, and names and numbers that JavaScript has no values for. A part
// of node_test.mjs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { serve } from './server.mjs';
import {
  BALLAST_SAMPLES, headerOf, inspected, packageFolder, read, refusal, safetensorsOf, sample, temporaryFolder,
} from './support.mjs';

const ballast = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);
const { open, inspect, preflight } = ballast;

const GGUF = 'tiny.gguf';
const MIB = 1 << 20;
let server;
before(async () => {
  server = await serve({ samples: BALLAST_SAMPLES });
});
after(() => server.close());

const WRONG = [-1, NaN, 1.5, 2 ** 70, -Infinity, '5', null, {}, [], 5n, true, () => 1, Symbol('x')];

test('options that are not the numbers they must be are refused, and Infinity is no limit', async () => {
  for (const [option, wrong] of Object.entries({ maxBytes: WRONG, maxWindow: WRONG, maxRatio: [0, ...WRONG], bits: [0, 16, Infinity, ...WRONG] })) {
    for (const value of wrong) {
      for (const load of [open, inspect, preflight]) {
        const error = await refusal(() => load(sample(GGUF), { [option]: value }));
        assert.ok(error instanceof ballast.UsageError, `${option} ${String(value)}: ${error.stack}`);
        assert.equal(error.code, 'misuse');
        assert.match(error.message, new RegExp(`the option ${option} must be `));
      }
    }
  }
  const packed = zlib.gzipSync(safetensorsOf({ w: Buffer.alloc(40 * MIB) }));
  assert.equal((await refusal(() => open(packed, { maxRatio: 10 }))).code, 'ratio_too_high');
  const none = { maxBytes: Infinity, maxRatio: Infinity, maxWindow: Infinity };
  for (const source of [packed, sample(GGUF)]) {
    for (const load of [open, inspect]) (await load(source, none)).close();
  }
  assert.ok((await preflight(sample(GGUF), none)).fits);
  for (const options of [{ maxBytes: 2 ** 60 }, { maxBytes: undefined }, { bits: 32 }]) (await open(sample(GGUF), options)).close();
});

test('rows that are none are refused, and numbers of entries find one or nothing', async () => {
  const plain = safetensorsOf({ w: Buffer.alloc(128) });
  const header = Buffer.from(plain.subarray(8, -128).toString().replace('"U8","shape":[128]', '"F32","shape":[4,8]'));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const bytes = Buffer.concat([size, header, Buffer.alloc(128)]);
  using model = await open(bytes);
  using head = await inspect(bytes);
  const { name, rowCount } = model.tensors[0];
  const wrong = [5, null, 'ab', [], [0], [0, 1, 2], [-1, 1], [NaN, 1], [0, NaN], [0.5, 1], [1, 0], [-Infinity, 1], ['0', '1'], [0n, 1n]];
  for (const rows of wrong) {
    for (const use of [() => model.tensor(name).values({ rows }), () => head.tensor(name).values({ rows }), () => model.tensor(name).stats({ rows }), () => head.tensor(name).read({ rows })]) {
      const error = await refusal(use);
      assert.ok(error instanceof ballast.UsageError, `${JSON.stringify(rows, (_, one) => String(one))}: ${error.stack}`);
    }
  }
  for (const rows of [[0, 2 ** 70], [0, rowCount + 1]]) {
    assert.equal((await refusal(() => model.tensor(name).values({ rows }))).code, 'rows_outside');
    assert.equal((await refusal(() => head.tensor(name).read({ rows }))).code, 'rows_outside');
  }
  using entries = await open(sample(GGUF));
  const { metadata } = entries;
  assert.ok(metadata.entry(1) && metadata.entry(metadata.size - 1));
  for (const index of [-1, NaN, 0.5, 2 ** 32, 2 ** 70, Infinity, metadata.size, '0', null, undefined]) assert.equal(metadata.entry(index), undefined, String(index));
});

/** A set of three files of 4 MiB each, by every way in. */
async function setOf(t) {
  const folder = temporaryFolder(t);
  const names = ['a', 'b', 'c'];
  const file = (name) => path.join(folder, `${name}.safetensors`);
  for (const name of names) fs.writeFileSync(file(name), safetensorsOf({ [name]: Buffer.alloc(4 * MIB, name) }));
  const index = path.join(folder, 'm.safetensors.index.json');
  fs.writeFileSync(index, JSON.stringify({ weight_map: Object.fromEntries(names.map((name) => [name, `${name}.safetensors`])) }));
  const packed = path.join(folder, 'packed');
  fs.mkdirSync(packed);
  fs.copyFileSync(index, path.join(packed, path.basename(index)));
  for (const name of names) fs.writeFileSync(path.join(packed, `${name}.safetensors.gz`), zlib.gzipSync(fs.readFileSync(file(name))));
  const remote = await serve({ set: folder });
  t.after(() => remote.close());
  const all = [index, ...names.map(file)];
  const bytes = all.map((one) => fs.readFileSync(one));
  return {
    bytes: bytes.reduce((sum, { length }) => sum + length, 0),
    sources: {
      'an index': () => index,
      'an index of compressed files': () => path.join(packed, path.basename(index)),
      'the URL of an index': () => `${remote.origin}/set/${path.basename(index)}`,
      URLs: () => all.map((one) => `${remote.origin}/set/${path.basename(one)}`),
      paths: () => all,
      bytes: () => bytes,
      Blobs: () => bytes.map((one) => new Blob([one])),
      streams: () => bytes.map((one) => new Blob([one]).stream()),
      iterables: () => bytes.map((one) => (async function* () { yield one; })()),
    },
  };
}

test('maxBytes is one budget for all files of a model, by every way in', async (t) => {
  const { bytes, sources } = await setOf(t);
  for (const [kind, source] of Object.entries(sources)) {
    (await open(source(), { maxBytes: bytes })).close();
    for (const maxBytes of [bytes - 1, 10 * MIB, 5 * MIB, 3 * MIB, 0]) {
      const error = await refusal(() => open(source(), { maxBytes }));
      assert.ok(error instanceof ballast.LimitError, `${kind}: ${error.stack}`);
      assert.equal(error.code, 'too_large', kind);
      assert.equal(error.actual, maxBytes, kind);
      assert.ok(error.expected > maxBytes, kind);
      assert.ok(error.message.includes(String(maxBytes)), error.message);
    }
    (await inspect(source(), { maxBytes: 32 << 10 })).close(); // of which a first look takes some each
    assert.equal((await refusal(() => inspect(source(), { maxBytes: 100 }))).code, 'too_large', kind);
    const isOnce = kind === 'streams' || kind === 'iterables';
    using head = await inspect(source(), { maxBytes: 6 * MIB });
    if (isOnce) continue;
    assert.equal((await refusal(() => head.load())).code, 'too_large', kind);
    const some = (...tensors) => head.load({ tensors });
    if (kind === 'an index of compressed files') {
      assert.equal((await refusal(() => some('a'))).code, 'too_large', kind);
      continue;
    }
    using one = await some('b');
    assert.ok(one.tensor('b').bytes().every((byte) => byte === 'b'.charCodeAt(0)));
    const error = await refusal(() => some('a', 'c'));
    assert.deepEqual([error.code, error.actual], ['too_large', 6 * MIB], kind);
  }
  // The index of a set is small, and what one file needs is refused before its first byte.
  const { needed, limit, fits } = await preflight(sources['an index'](), { maxBytes: 100 });
  assert.deepEqual([needed < bytes, limit, fits], [true, 100, false]);
});

test('a budget that is not enough is no reason to load everything again', async (t) => {
  const { sources } = await setOf(t);
  const instantiate = t.mock.method(WebAssembly, 'instantiate');
  await refusal(() => open(sources.paths(), { maxBytes: 10 * MIB }));
  assert.equal(instantiate.mock.callCount(), 1);
});

/** A GGUF of two tensors of 32 bytes, whose names decode to the same text. */
function twins(names) {
  const parts = [Buffer.from('GGUF')];
  const u32 = (value) => parts.push(Buffer.from(Uint32Array.of(value).buffer));
  const u64 = (value) => parts.push(Buffer.from(BigUint64Array.of(BigInt(value)).buffer));
  u32(3);
  u64(names.length);
  u64(0);
  names.forEach((name, i) => {
    u64(name.length);
    parts.push(name);
    u32(1);
    u64(32);
    u32(24); // I8
    u64(32 * i);
  });
  const head = Buffer.concat(parts);
  return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), ...names.map((_, i) => Buffer.alloc(32, i + 1))]);
}

test('names that are not UTF-8 stay apart, and each tensor has its own bytes', async (t) => {
  const text = Buffer.from('a\ufffd');
  const broken = [Buffer.from([0x61, 0xff]), Buffer.from([0x61, 0xfe])];
  const file = path.join(temporaryFolder(t), 'twins.gguf');
  const bytes = twins([broken[0], text, broken[1]]);
  fs.writeFileSync(file, bytes);
  for (const source of [file, bytes, new Blob([bytes]), zlib.gzipSync(bytes)]) {
    using model = await open(source);
    using head = await inspect(source);
    for (const from of [model, head]) {
      assert.deepEqual(from.tensors.map(({ name }) => name), Array(3).fill('a\ufffd'));
      assert.equal(from.tensor('a\ufffd'), from.tensors[1]);
      assert.equal(from.find('a\ud800'), undefined);
    }
    for (const [i, tensor] of model.tensors.entries()) {
      assert.deepEqual(tensor.bytes()[0], i + 1);
      assert.equal((await head.tensors[i].read())[0], i + 1);
      assert.equal((await head.tensors[i].values())[0], i + 1);
    }
    using some = await head.load({ tensors: ['a\ufffd'] });
    assert.equal(some.tensors[1].bytes()[0], 2);
    const isWhole = source[0] === 0x1f;
    assert.deepEqual(some.tensors.map(({ isLoaded }) => isLoaded), [isWhole, true, isWhole]);
  }
  // Where there is no such text, the first of them is what the list says it is called.
  const without = twins([Buffer.from('b'), broken[1], broken[0]]);
  using model = await open(without);
  assert.equal(model.tensor('a\ufffd'), model.tensors[1]);
  using head = await inspect(without);
  using some = await head.load({ tensors: ['a\ufffd'] });
  assert.equal(some.tensors[1].bytes()[0], 2);
});

test('the directory of a stream that ends with it is read', async () => {
  for (const lengths of [{ w: 100 }, { w: 2 ** 33 }, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`tensor ${i}`, 1 << 20]))]) {
    const header = headerOf(lengths);
    using head = await inspect((async function* () { yield header; })());
    assert.deepEqual(head.tensors.map(({ name, byteLength }) => [name, byteLength]), Object.entries(lengths));
  }
});

const native = path.join(BALLAST_SAMPLES, '../ballast');

test('numbers of an index are those of the native program', { skip: !fs.existsSync(native) && 'the native program is not built' }, async (t) => {
  const folder = temporaryFolder(t);
  fs.writeFileSync(path.join(folder, 'one.safetensors'), safetensorsOf({ w: Buffer.alloc(1) }));
  const file = path.join(folder, 'm.safetensors.index.json');
  const numbers = ['1e400', '-1e400', '1e-400', '-1e-400', '1.7976931348623159e308', '1.7976931348623157e308', '5e-324', '2e-324', '1e23', '0.1',
    '18446744073709551616', '-0.0', '1E+5', '9007199254740993'];
  const values = {};
  for (const text of numbers) {
    fs.writeFileSync(file, `{"metadata":{"n":${text}},"weight_map":{"w":"one.safetensors"}}`);
    const run = () => JSON.parse(execFileSync(native, ['inspect', '--json', '--full', file], { stdio: ['ignore', 'pipe', 'ignore'] })).metadata.n.value;
    let truth;
    try {
      truth = run();
    } catch (error) {
      assert.notEqual((await refusal(() => open(file))).code, undefined, text);
      continue;
    }
    using model = await open(file);
    const value = model.metadata.get('n');
    values[text] = value;
    assert.ok(Object.is(Number(value), Number(truth)), `${text}: ${value}, natively ${truth}`);
    assert.deepEqual(inspected(file).metadata.n.value, truth, text);
  }
  assert.equal(values['0.1'], 0.1);
});
