// Models as large as the heap: 1.9 GiB in one piece and 3.5 GiB in two shards with 32-bit pointers,
// 5 GiB with 64-bit ones. The files take no room on the disk, but the memory is really taken, so it
// runs where BALLAST_BIG is set.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Ballast, BallastError } from './binding.mjs';

const { BALLAST_MODULE, BALLAST_WASM_BITS, BALLAST_BIG } = process.env;
const GIB = 2 ** 30;
const GROUP = 16;  // tensors of a file, so that each is smaller than what JavaScript can view
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-big-'));
after(() => fs.rmSync(folder, { recursive: true }));

const u32 = (number) => Buffer.from(new Uint32Array([number]).buffer);
const u64 = (number) => Buffer.from(new BigUint64Array([BigInt(number)]).buffer);
const string = (text) => Buffer.concat([u64(text.length), Buffer.from(text)]);

/** A GGUF of I8 tensors, zero but for a mark at the beginning and the end of each. */
function makeModel(name, gibibytes, prefix, entries = []) {
  const each = Math.floor((gibibytes * GIB) / GROUP / 64) * 64;
  const head = Buffer.concat([
    Buffer.from('GGUF'), u32(3), u64(GROUP), u64(entries.length), ...entries,
    ...Array.from({ length: GROUP }, (_, i) =>
      Buffer.concat([string(`${prefix}.${i}`), u32(1), u64(each), u32(24), u64(i * each)])),
  ]);
  const data = Math.ceil(head.length / 32) * 32;
  const file = path.join(folder, name);
  const descriptor = fs.openSync(file, 'w');
  fs.writeSync(descriptor, head, 0, head.length, 0);
  fs.ftruncateSync(descriptor, data + GROUP * each);
  for (let i = 0; i < GROUP; ++i) {
    for (const at of [data + i * each, data + (i + 1) * each - 1]) fs.writeSync(descriptor, Buffer.from([i + 1]), 0, 1, at);
  }
  fs.closeSync(descriptor);
  return { file, size: data + GROUP * each };
}

function checkMarks(ballast, model, prefix) {
  for (let i = 0; i < GROUP; ++i) {
    const tensor = model.find(`${prefix}.${i}`);
    const bytes = ballast.bytes(tensor.bytes, Number(tensor.nbytes));
    assert.deepEqual([bytes[0], bytes[1], bytes.at(-2), bytes.at(-1)], [i + 1, 0, 0, i + 1], `${prefix}.${i}`);
  }
}

const skip = !BALLAST_BIG && 'takes several GiB of memory; set BALLAST_BIG';
const only = (bits) => skip || (BALLAST_WASM_BITS !== bits && `is for ${bits}-bit pointers`);

test('1.9 GiB load in one piece', { skip: only('32') }, async (t) => {
  const ballast = await Ballast.load(BALLAST_MODULE);
  const { file, size } = makeModel('one.gguf', 1.9, 'a');
  const model = ballast.model([ballast.fromFile(file)]);
  assert.equal(model.summary.file_bytes, BigInt(size));
  checkMarks(ballast, model, 'a');
  t.diagnostic(`${size} bytes loaded, heap ${ballast.heapBytes}`);
  model.close();
});

test('3.5 GiB load in two shards, and what does not fit beside them is an error', { skip: only('32') }, async (t) => {
  const ballast = await Ballast.load(BALLAST_MODULE);
  const shard = (number) => [
    Buffer.concat([string('split.no'), u32(2), Buffer.from(new Uint16Array([number]).buffer)]),
    Buffer.concat([string('split.count'), u32(2), Buffer.from(new Uint16Array([2]).buffer)]),
  ];
  const names = ['big-00001-of-00002.gguf', 'big-00002-of-00002.gguf'];
  const files = names.map((name, i) => makeModel(name, 1.75, 'ab'[i], shard(i)));
  const model = ballast.model(files.map(({ file }) => ballast.fromFile(file)), undefined, names);
  assert.equal(model.summary.shard_count, 2);
  const check = () => ['a', 'b'].forEach((prefix) => checkMarks(ballast, model, prefix));
  check();
  const last = model.find(`b.${GROUP - 1}`);
  assert.ok(last.bytes + Number(last.nbytes) > 3.4 * GIB, 'addresses have 32 bits, without a sign');
  t.diagnostic(`${files[0].size + files[1].size} bytes loaded, heap ${ballast.heapBytes}`);

  const more = makeModel('more.gguf', 0.6, 'c');
  for (let round = 0; round < 3; ++round) {
    assert.throws(() => ballast.fromFile(more.file), (error) =>
      error instanceof BallastError && error.name === 'out_of_memory' && error.expected === BigInt(more.size));
  }
  check();
  const small = makeModel('small.gguf', 0.01, 'd');
  const beside = ballast.model([ballast.fromFile(small.file)]);
  checkMarks(ballast, beside, 'd');
  beside.close();
  model.close();
  const after = ballast.model([ballast.fromFile(more.file)]);
  checkMarks(ballast, after, 'c');
});

test('5 GiB load in one piece', { skip: only('64') }, async (t) => {
  const ballast = await Ballast.load(BALLAST_MODULE);
  const { file, size } = makeModel('five.gguf', 5, 'a');
  const model = ballast.model([ballast.fromFile(file)]);
  assert.equal(model.summary.file_bytes, BigInt(size));
  checkMarks(ballast, model, 'a');
  t.diagnostic(`${size} bytes loaded, heap ${ballast.heapBytes}`);
  model.close();
});
