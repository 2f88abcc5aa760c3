// The module of the C API under Node: the same models as from the command, a code for everything
// that goes wrong, and memory that is used once. Run by ctest, which says where things are: the
// folders BALLAST_MODULE, BALLAST_SAMPLES and BALLAST_SOURCE, and the script BALLAST_COMMAND_JS. A
// corpus is looked for in BALLAST_FIXTURES and beside the sources.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Ballast, BallastError, FUNCTIONS, OPTIONS, UNKNOWN } from './binding.mjs';

const { BALLAST_MODULE, BALLAST_SAMPLES, BALLAST_SOURCE, BALLAST_COMMAND_JS } = process.env;
const corpus = process.env.BALLAST_FIXTURES || path.join(BALLAST_SOURCE, '../shared/fixtures');
const header = fs.readFileSync(path.join(BALLAST_SOURCE, 'src/ballast/ballast.h'), 'utf8');
const ballast = await Ballast.load(BALLAST_MODULE);
const samples = fs.readdirSync(BALLAST_SAMPLES)
  .filter((name) => /^tiny\.(gguf|safetensors)$/.test(name))
  .map((name) => path.join(BALLAST_SAMPLES, name));

const GIB = 2 ** 30;

function refusal(action) {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof BallastError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

/** A GGUF that claims one I8 tensor of that many bytes, padded to `alignment`, up to its data. */
function claiming(size) {
  const bytes = Buffer.alloc(96);
  let at = bytes.write('GGUF');
  at = bytes.writeUInt32LE(3, at);
  at = bytes.writeBigUInt64LE(1n, at);
  at = bytes.writeBigUInt64LE(0n, at);
  at = bytes.writeBigUInt64LE(1n, at);
  at += bytes.write('w', at);
  at = bytes.writeUInt32LE(1, at);
  at = bytes.writeBigUInt64LE(BigInt(size), at);
  at = bytes.writeUInt32LE(24, at);
  bytes.writeBigUInt64LE(0n, at);
  return bytes.subarray(0, 64);
}

/** Takes that much of the heap without touching it: a model whose bytes never come. */
function reserve(gibibytes, instance = ballast) {
  const loader = instance.loader();
  loader.push(Buffer.concat([claiming(Math.floor(gibibytes * GIB)), Buffer.alloc(512)]));
  return loader;
}

test('the module exports what the binding calls, and nothing that ballast.h does not declare', () => {
  const exported = Object.keys(ballast.module).filter((name) => name.startsWith('ballast_'));
  assert.deepEqual(exported.sort(), FUNCTIONS.slice().sort());
  for (const name of exported.filter((one) => one !== 'ballast_module_used')) {
    assert.match(header, new RegExp(`[ *]${name}\\(`));
  }
});

test('the binding numbers options and errors as ballast.h does', () => {
  for (const [name, number] of Object.entries(OPTIONS)) {
    assert.match(header, new RegExp(`BALLAST_OPTION_${name.toUpperCase()} = ${number}\\b`));
  }
});

test('the module asks its surroundings for nothing but a number and to be told that its memory grew', () => {
  const wasm = new WebAssembly.Module(fs.readFileSync(path.join(BALLAST_MODULE, 'ballast.wasm')));
  const imports = WebAssembly.Module.imports(wasm).sort((a, b) => a.name.localeCompare(b.name));
  assert.deepEqual(imports, ['ballast_number', 'emscripten_notify_memory_growth'].map((name) =>
    ({ module: 'env', name, kind: 'function' })));
});

test('the module tells how much memory is in use', () => {
  ballast.free(ballast.malloc(1 << 20)); // memory that grows takes a few bytes for its own
  const before = ballast.call('module_used');
  const block = ballast.malloc(1 << 20);
  assert.ok(ballast.call('module_used') - before >= 1 << 20);
  ballast.free(block);
  assert.equal(ballast.call('module_used'), before);
});

test('a model from pieces of any size is what the command says of the file', () => {
  assert.equal(samples.length, 2);
  for (const sample of samples) {
    const expected = JSON.parse(execFileSync(process.execPath, [BALLAST_COMMAND_JS, 'inspect', '--json', sample]));
    const file = fs.readFileSync(sample);
    for (const size of [1, 7, 512, 4096, file.length]) {
      for (const settings of [undefined, { total: file.length }]) {
        const model = ballast.model([ballast.fromBytes(file, size, settings)]);
        const { summary } = model;
        assert.equal(summary.format, expected.format);
        assert.equal(summary.version === UNKNOWN ? null : Number(summary.version), expected.version);
        assert.equal(summary.alignment === UNKNOWN ? null : Number(summary.alignment), expected.alignment);
        assert.equal(Number(summary.file_bytes), expected.file_bytes);
        assert.equal(summary.entry_count, Object.keys(expected.metadata).length);
        assert.equal(model.shard(0).data_offset, BigInt(expected.data_offset));
        assert.equal((model.shard(0).bytes + expected.data_offset) % 64, 0);
        assert.deepEqual(
          [...model.tensors()].map(({ name, dtype, shape, offset, nbytes }) =>
            ({ name, dtype, shape, offset: Number(offset), nbytes: Number(nbytes) })),
          expected.tensors);
        for (const tensor of model.tensors()) {
          const at = Number(tensor.offset);
          const bytes = ballast.bytes(tensor.bytes, Number(tensor.nbytes));
          assert.ok(file.subarray(at, at + bytes.length).equals(bytes), tensor.name);
          assert.equal(model.find(tensor.name).index, tensor.index);
        }
        assert.equal(model.find('nothing'), null);
        assert.equal(model.tensor(summary.tensor_count), null);
        Object.keys(expected.metadata).forEach((key, i) => assert.equal(model.entry(i).key, key));
        model.close();
      }
    }
  }
});

test('an array of strings is stepped through', () => {
  const sample = samples.find((name) => name.endsWith('.gguf'));
  const inspected = execFileSync(process.execPath, [BALLAST_COMMAND_JS, 'inspect', '--json', '--full', sample]);
  const tokens = JSON.parse(inspected).metadata['tokenizer.ggml.tokens'];
  const model = ballast.model([ballast.fromFile(sample)]);
  assert.ok(tokens.value.length > 0);
  assert.deepEqual([...model.strings('tokenizer.ggml.tokens')], tokens.value);
  model.close();
});

test('shards that are loaded one by one make a set', () => {
  const names = fs.readdirSync(BALLAST_SAMPLES).filter((name) => /^tiny-\d{5}-of-\d{5}\.gguf$/.test(name)).sort();
  assert.ok(names.length > 1);
  const whole = ballast.model([ballast.fromFile(path.join(BALLAST_SAMPLES, 'tiny.gguf'))]);
  const set = ballast.model(names.map((name) => ballast.fromFile(path.join(BALLAST_SAMPLES, name))), undefined, names);
  assert.equal(set.summary.is_sharded, 1);
  assert.equal(set.summary.shard_count, names.length);
  assert.equal(set.shard(1).name, names[1]);
  assert.equal(set.summary.tensor_count, whole.summary.tensor_count);
  for (const tensor of whole.tensors()) {
    const other = set.find(tensor.name);
    assert.deepEqual(
      Buffer.from(ballast.bytes(other.bytes, Number(other.nbytes))),
      Buffer.from(ballast.bytes(tensor.bytes, Number(tensor.nbytes))));
  }
  set.close();
  whole.close();
});

test('a refusal is a code, a message and the byte', () => {
  const file = fs.readFileSync(samples[0]);
  const cut = refusal(() => ballast.fromBytes(file.subarray(0, file.length - 5000), 4096, { path: 'https://example.org/a' }));
  assert.equal(cut.name, 'outside_file');
  assert.equal(cut.path, 'https://example.org/a');
  assert.equal(Number(cut.actual), file.length - 5000);
  assert.ok(cut.has & 1 && cut.offset > 0n);
  assert.ok(cut.what.startsWith('https://example.org/a: tensor '));
  assert.ok(cut.what.endsWith(`(outside_file at byte ${cut.offset})`));
  const page = refusal(() => ballast.fromBytes(Buffer.from('<!DOCTYPE html>'.padEnd(1000))));
  assert.equal(page.name, 'html_page');
  assert.equal(refusal(() => ballast.fromBytes(Buffer.alloc(0))).name, 'empty_file');
  const limited = refusal(() => ballast.fromBytes(file, 4096, { total: file.length, max_bytes: 1000 }));
  assert.equal(limited.name, 'too_large');
  const half = refusal(() => ballast.fromBytes(file.subarray(0, 40000), 4096, { total: file.length }));
  assert.equal(half.name, 'incomplete_input');
});

test('more bytes than there was room for, and calls after the end, are misuse', () => {
  const loader = ballast.loader();
  const room = loader.prepare(10).length;
  assert.equal(refusal(() => loader.commit(room + 1)).name, 'misuse');
  assert.equal(refusal(() => loader.prepare(1)).name, 'misuse');
  loader.free();
  const cancelled = ballast.loader();
  cancelled.push(fs.readFileSync(samples[0]).subarray(0, 1000));
  assert.equal(cancelled.progress.done, 1000n);
  cancelled.cancel();
  assert.equal(cancelled.progress.done, 0n);
  assert.equal(refusal(() => cancelled.finish()).name, 'misuse');
  cancelled.free();
});

test('what one vector cannot hold is refused before anything is allocated, and says what can', { skip: ballast.bits === 64 && 'a vector has no such limit there' }, () => {
  const before = ballast.heapBytes;
  for (const announce of [() => ballast.loader({ total: 2 * GIB }), () => reserve(2), () => reserve(5)]) {
    const error = refusal(announce);
    assert.equal(error.name, 'vector_limit');
    assert.equal(error.actual, 2n ** 31n - 1n);
    assert.match(error.message, /shards/);
    assert.match(error.message, /wasm64/);
  }
  assert.equal(ballast.heapBytes, before);
});

test('memory that runs out is an error, and afterwards everything still works', () => {
  const piece = ballast.bits === 64 ? 5 : 1.9;
  const held = [];
  const error = refusal(() => {
    for (let i = 0; i < 4; ++i) held.push(reserve(piece));
  });
  assert.ok(held.length >= 2, 'some of it fits');
  assert.equal(error.name, 'out_of_memory');
  assert.ok(error.expected > BigInt(Math.floor(piece * GIB)));
  for (const sample of samples) ballast.model([ballast.fromFile(sample)]).close();
  for (const loader of held) loader.free();
  // Freed memory is used again: the heap, which never shrinks, does not grow either.
  const before = ballast.heapBytes;
  const again = [reserve(piece), reserve(piece)];
  for (const loader of again) loader.free();
  assert.equal(ballast.heapBytes, before);
});

test('no memory is given that lies behind the end', { skip: ballast.bits === 64 && 'the end is too far away' }, async () => {
  // The last block would end behind 2^32, where a sum of addresses is small again; room before it is free.
  for (const sizes of [[1.9, 1.6, 0.6], [1.9, 1.9, 0.5], [1.5, 1.5, 0.9, 0.2]]) {
    const fresh = await Ballast.load(BALLAST_MODULE);
    const held = sizes.slice(0, -1).map((size) => fresh.malloc(Math.floor(size * GIB)));
    assert.ok(held.every((block) => block > 0), sizes.join());
    fresh.free(fresh.malloc(8192));
    assert.equal(fresh.malloc(Math.floor(sizes.at(-1) * GIB)), 0, sizes.join());
    assert.equal(refusal(() => reserve(sizes.at(-1), fresh)).name, 'out_of_memory', sizes.join());
    for (const block of held) fresh.free(block);
    reserve(sizes.at(-1), fresh).free();
  }
});

test('memory above 2 GiB is as good as any', async () => {
  const fresh = await Ballast.load(BALLAST_MODULE);
  const below = [reserve(1.2, fresh), reserve(1.2, fresh)];
  for (const sample of samples) {
    const file = fs.readFileSync(sample);
    const model = fresh.model([fresh.fromBytes(file)]);
    for (const tensor of model.tensors()) {
      const at = Number(tensor.offset);
      const bytes = fresh.bytes(tensor.bytes, Number(tensor.nbytes));
      assert.ok(file.subarray(at, at + bytes.length).equals(bytes), tensor.name);
    }
    model.close();
  }
  const high = reserve(0.2, fresh);
  const room = high.prepare(1000);
  assert.ok(room.byteOffset > 2 * GIB, `${room.byteOffset}`);
  room.fill(7);
  high.commit(1000);
  assert.equal(room[999], 7);
  for (const loader of [...below, high]) loader.free();
});

test('growing memory leaves old views empty and the module whole', async () => {
  const fresh = await Ballast.load(BALLAST_MODULE);
  const old = fresh.heap;
  const file = fs.readFileSync(samples[0]);
  const loader = fresh.loader();
  loader.push(claiming(64 << 20));
  loader.push(new Uint8Array(512));
  assert.equal(old.byteLength, 0);
  const model = fresh.model([fresh.fromBytes(file)]);
  assert.ok(model.summary.tensor_count > 0);
  model.close();
  loader.free();
});

test('a thousand loads leave the heap as large as the first', () => {
  const bytes = fs.readFileSync(samples[0]);
  const once = () => ballast.model([ballast.fromBytes(bytes, 10000)]).close();
  const fail = () => refusal(() => ballast.fromBytes(bytes.subarray(0, 20000), 10000));
  once();
  fail();
  const before = ballast.heapBytes;
  for (let i = 0; i < 500; ++i) {
    once();
    fail();
  }
  assert.equal(ballast.heapBytes, before);
});

test('warnings are there in order', () => {
  const bytes = Buffer.concat([fs.readFileSync(samples.find((name) => name.endsWith('.gguf'))), Buffer.alloc(100, 1)]);
  const model = ballast.model([ballast.fromBytes(bytes)]);
  assert.equal(model.warning(0).name, 'trailing_bytes');
  assert.match(model.warning(0).message, /100 bytes follow/);
  assert.equal(model.warning(1), null);
  model.close();
  const tail = Buffer.concat([fs.readFileSync(samples.find((name) => name.endsWith('.safetensors'))), Buffer.alloc(100, 1)]);
  const lenient = { lenient: 1 };
  const accepted = ballast.model([ballast.fromBytes(tail, 1 << 20, lenient)], lenient);
  assert.equal(accepted.warning(0).name, 'trailing_bytes');
  accepted.close();
});

// ---- A corpus with ground truth from independent readers, where there is one ---------------------

const truth = path.join(corpus, 'truth');
const skip = !fs.existsSync(truth) && 'no corpus; name its folder with BALLAST_FIXTURES';

test('every model of the corpus has the tensors that independent readers see', { skip }, () => {
  let compared = 0;
  for (const name of fs.readdirSync(truth, { recursive: true })) {
    const file = path.join(corpus, String(name).replace(/\.json$/, ''));
    if (!String(name).endsWith('.json') || !fs.existsSync(file) || /-of-\d{5}\.gguf$/.test(file)) continue;
    const lines = fs.readFileSync(path.join(truth, String(name)), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    const model = ballast.model([ballast.fromFile(file, undefined, 100_000)]);
    const expected = lines.filter((line) => line.kind === 'tensor');
    assert.equal(model.summary.tensor_count, expected.length, file);
    for (const tensor of expected) {
      const found = model.find(tensor.name);
      assert.deepEqual(
        [found?.dtype, found?.shape, Number(found?.offset), Number(found?.nbytes)],
        [tensor.dtype, tensor.shape, tensor.offset, tensor.nbytes], `${file}: ${tensor.name}`);
      const bytes = found.nbytes === 0n ? new Uint8Array() : ballast.bytes(found.bytes, tensor.nbytes);
      const digest = crypto.createHash('sha256').update(bytes).digest('hex');
      assert.equal(digest, tensor.sha256, `${file}: ${tensor.name}`);
      ++compared;
    }
    model.close();
  }
  assert.ok(compared > 100, `${compared} tensors`);
});

test('every hostile file of the corpus is a model or a typed error, whatever the pieces', { skip }, () => {
  let seen = 0;
  for (const format of fs.readdirSync(path.join(corpus, 'bad'))) {
    const folder = path.join(corpus, 'bad', format);
    for (const name of fs.readdirSync(folder)) {
      if (name === 'expected.tsv') continue;
      const bytes = fs.readFileSync(path.join(folder, name));
      const outcomes = [1, 1000, bytes.length || 1].map((size) => {
        try {
          ballast.model([ballast.fromBytes(bytes, size, { total: bytes.length })]).close();
          return 'accepted';
        } catch (error) {
          assert.ok(error instanceof BallastError, `${name}: ${error}`);
          return error.name;
        }
      });
      assert.equal(new Set(outcomes).size, 1, `${name}: ${outcomes}`);
      ++seen;
    }
  }
  assert.ok(seen > 50, `${seen} files`);
});
