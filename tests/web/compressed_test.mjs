// Compressed models through the module: the same model from every codec at every level as from the
// plain file, in pieces of any size; what is wrong is refused; and a bomb grows no heap. Run by
// ctest, which says where things are: the folders BALLAST_MODULE, BALLAST_SAMPLES and
// BALLAST_COMPRESSED, which holds tiny.gguf as CODEC.LEVEL.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { Ballast, BallastError } from './binding.mjs';

const { BALLAST_MODULE, BALLAST_SAMPLES, BALLAST_COMPRESSED } = process.env;
const ballast = await Ballast.load(BALLAST_MODULE);
const common = await Ballast.load(path.join(BALLAST_MODULE, 'common'));
const plain = fs.readFileSync(path.join(BALLAST_SAMPLES, 'tiny.gguf'));
const names = fs.readdirSync(BALLAST_COMPRESSED).filter((name) => /^[a-z0-9]+\.-?\d+$/.test(name));
const codecs = [...new Set(names.map((name) => name.split('.')[0]))];
const file = (name) => fs.readFileSync(path.join(BALLAST_COMPRESSED, name));
const any = (codec) => file(names.find((name) => name.startsWith(`${codec}.`)));

function refusal(action) {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof BallastError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

function canDecode(instance, codec) {
  const at = instance.put(codec);
  const answer = instance.call('can_decode', at);
  instance.free(at);
  return answer === 1;
}

test('every codec was compressed with', () => {
  assert.deepEqual(codecs.sort(), ['bzip2', 'gzip', 'lz4', 'xz', 'zlib', 'zstd']);
  for (const codec of codecs) assert.ok(canDecode(ballast, codec), codec);
});

test('every codec at every level, in pieces of any size, is the plain file', () => {
  for (const name of names) {
    const bytes = file(name);
    for (const size of [1, 2, 3, 7, 4096, bytes.length]) {
      for (const settings of [undefined, { total: bytes.length }]) {
        const model = ballast.model([ballast.fromBytes(bytes, size, settings)]);
        const shown = model.shard(0);
        assert.ok(plain.equals(ballast.bytes(shown.bytes, shown.size)), `${name} in pieces of ${size}`);
        assert.equal(ballast.text(shown.compression), name.split('.')[0]);
        assert.equal(Number(shown.compressed_size), bytes.length);
        assert.equal(Number(shown.file_size), plain.length);
        assert.equal(shown.is_complete, 1);
        assert.equal(shown.is_mmap, 0);
        model.close();
      }
    }
  }
});

test('a file goes into the heap compressed bytes first, and progress counts both sides', () => {
  for (const codec of codecs) {
    const bytes = any(codec);
    const loader = ballast.loader({ total: bytes.length });
    let before = { done: 0n, input_done: 0n };
    for (let at = 0; at < bytes.length; ) {
      const room = loader.prepare(1000);
      const count = Math.min(room.length, bytes.length - at);
      room.set(bytes.subarray(at, at + count));
      loader.commit(count);
      at += count;
      const now = loader.progress;
      assert.ok(now.done >= before.done && now.input_done >= before.input_done);
      before = now;
    }
    assert.equal(Number(before.total), plain.length);
    assert.equal(Number(before.input_total), bytes.length);
    const model = ballast.model([loader.finish()]);
    assert.equal(Number(model.summary.file_bytes), plain.length);
    model.close();
    loader.free();
  }
});

test('what is wrong with the compressed bytes is a code, and where in them', () => {
  for (const codec of codecs) {
    const bytes = any(codec);
    const cut = refusal(() => ballast.fromBytes(bytes.subarray(0, bytes.length - 3)));
    assert.equal(cut.name, 'truncated_stream', codec);
    assert.ok(cut.has & 8, 'it knows the compressed byte');
    assert.equal(Number(cut.input_offset), bytes.length - 3);
    const garbage = refusal(() => ballast.fromBytes(Buffer.concat([bytes, Buffer.from('garbage')])));
    assert.equal(garbage.name, 'garbage_after_stream', codec);
    assert.equal(Number(garbage.input_offset), bytes.length);
    const flipped = Buffer.from(bytes);
    flipped[bytes.length >> 1] ^= 0x10;
    // Whoever notices first: the codec, or the parser of what came out.
    assert.ok(refusal(() => ballast.fromBytes(flipped)).has & 8, codec);
  }
  const page = refusal(() => ballast.fromBytes(zlib.gzipSync('<!DOCTYPE html>'.padEnd(1000))));
  assert.equal(page.name, 'html_page');
  assert.equal(page.has & 9, 9);
  assert.equal(refusal(() => ballast.fromBytes(zlib.gzipSync(any('zstd')))).name, 'compressed_twice');
});

test('a bomb is refused before the heap grows', () => {
  const claim = Buffer.alloc(96 + 512);
  let at = claim.write('GGUF');
  at = claim.writeUInt32LE(3, at);
  at = claim.writeBigUInt64LE(1n, at);
  at = claim.writeBigUInt64LE(0n, at);
  at = claim.writeBigUInt64LE(1n, at);
  at += claim.write('w', at);
  at = claim.writeUInt32LE(1, at);
  at = claim.writeBigUInt64LE(1_900_000_000n, at);
  claim.writeUInt32LE(24, at);
  const bomb = zlib.gzipSync(claim, { level: 9 });
  assert.ok(bomb.length < 120, `${bomb.length} bytes`);
  const before = ballast.heapBytes;
  for (const settings of [undefined, { total: bomb.length }]) {
    const error = refusal(() => ballast.fromBytes(bomb, 1 << 20, settings));
    assert.equal(error.name, 'ratio_too_high');
    assert.ok(error.expected >= 1_900_000_000n);
    assert.equal(Number(error.actual), bomb.length);
  }
  assert.equal(ballast.heapBytes, before);
});

test('with only the directory wanted, the rest is neither decoded nor needed', () => {
  for (const bytes of [plain, ...codecs.map(any)]) {
    const loader = ballast.loader({ directory_only: 1 });
    loader.push(bytes);
    assert.ok(loader.hasDirectory);
    assert.equal(loader.prepare(10).length, 0);
    const model = ballast.model([loader.finish()]);
    loader.free();
    assert.equal(model.summary.is_complete, 0);
    assert.ok(model.summary.tensor_count > 0);
    for (const tensor of model.tensors()) assert.equal(tensor.bytes, 0);
    assert.ok(model.shard(0).size < plain.length);
    model.close();
  }
});

test('a module without a codec says so', () => {
  for (const codec of codecs) {
    const known = ['gzip', 'zlib', 'zstd'].includes(codec);
    assert.equal(canDecode(common, codec), known, codec);
    if (known) {
      common.model([common.fromBytes(any(codec))]).close();
    } else {
      const error = refusal(() => common.fromBytes(any(codec)));
      assert.equal(error.name, 'codec_missing');
      assert.match(error.message, new RegExp(`built without ${codec}`));
    }
  }
});
