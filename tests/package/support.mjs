// What the tests of the package share: where it is, models to open, and truths about them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The folder in which the packed tarball was installed, the samples of the build, and the sources. */
export const { BALLAST_INSTALLED, BALLAST_SAMPLES, BALLAST_SOURCE } = process.env;
/** The corpus, where there is one. */
export const corpus = [process.env.BALLAST_FIXTURES, path.join(BALLAST_SOURCE, '../shared/fixtures')]
  .find((folder) => folder && fs.existsSync(folder));

export const packageFolder = path.join(BALLAST_INSTALLED, 'node_modules/ballast-loader');
export const sample = (name) => path.join(BALLAST_SAMPLES, name);
export const read = (name) => fs.readFileSync(sample(name));

/** What the command of the package says of a file. */
export function inspected(file) {
  const program = path.join(packageFolder, 'dist/command/ballast.cjs');
  return JSON.parse(execFileSync(process.execPath, [program, 'inspect', '--json', '--full', file], { maxBuffer: 2 ** 30 }));
}

/** A metadata value as the JSON of the command has it. */
function plain(value) {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'object') {
    return Array.from(value, (element) =>
      typeof element === 'object'
        ? { type: 'array', element: element.elementType, length: element.length, value: plain(element) }
        : plain(element));
  }
  return value;
}

/** Floats of 32 bits are printed with as few digits as tell them apart. */
function same(type, ours, truth) {
  if (type === 'f32' && typeof truth === 'number') return Object.is(Math.fround(truth), ours) || truth === ours;
  if (Array.isArray(truth)) return ours.length === truth.length && truth.every((one, i) => same(type, ours[i], one));
  if (truth !== null && typeof truth === 'object') return truth.element === ours.element && same(truth.element, ours.value, truth.value);
  return Object.is(ours, truth) || ours === truth;
}

/** Holds a model or a head against what the command says of its file. */
export function assertSame(model, truth) {
  assert.equal(model.format, truth.format);
  assert.equal(model.version ?? null, truth.version);
  assert.equal(model.alignment ?? null, truth.alignment);
  assert.equal(model.metadata.size, Object.keys(truth.metadata).length);
  for (const [key, entry] of Object.entries(truth.metadata)) {
    assert.equal(model.metadata.typeOf(key), entry.type, key);
    const value = model.metadata.get(key);
    if (entry.type === 'array') assert.equal(value.elementType, entry.element, key);
    assert.ok(same(entry.element ?? entry.type, plain(value), entry.value), key);
  }
  assert.equal(model.tensors.length, truth.tensors.length);
  truth.tensors.forEach((tensor, i) => {
    const { name, dtype, shape, byteOffset, byteLength, shard } = model.tensors[i];
    assert.deepEqual({ name, dtype, shape, offset: byteOffset, nbytes: byteLength ?? null },
      { name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, offset: tensor.offset, nbytes: tensor.nbytes });
    if (tensor.shard !== undefined) assert.equal(model.shards[shard].name, tensor.shard);
  });
  assert.deepEqual(model.warnings.map(({ code }) => code), truth.warnings.map(({ code }) => code));
}

/** Holds the bytes of all tensors against those of the file. */
export function assertBytes(model, file) {
  const bytes = fs.readFileSync(file);
  for (const tensor of model.tensors) {
    if (tensor.byteLength === undefined) continue;
    assert.deepEqual(tensor.bytes().length, tensor.byteLength);
    assert.ok(Buffer.from(tensor.bytes()).equals(bytes.subarray(tensor.byteOffset, tensor.byteOffset + tensor.byteLength)), tensor.name);
  }
}

/** The error that a promise or a function ends with. */
export async function refusal(action) {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was refused');
}

export function temporaryFolder(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What a safetensors file of tensors of U8 begins with, { name: length }. */
export function headerOf(lengths) {
  let end = 0;
  const header = Buffer.from(JSON.stringify(Object.fromEntries(Object.entries(lengths).map(([name, length]) =>
    [name, { dtype: 'U8', shape: [length], data_offsets: [end, (end += length)] }]))));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header]);
}

/** A safetensors file of tensors of U8, { name: bytes }. */
export function safetensorsOf(tensors) {
  const lengths = Object.fromEntries(Object.entries(tensors).map(([name, { length }]) => [name, length]));
  return Buffer.concat([headerOf(lengths), ...Object.values(tensors)]);
}

/** Writes a safetensors file with one tensor `w` of so many zeros, which take no room on the disk. */
export function writeSparse(file, length) {
  const header = headerOf({ w: length });
  fs.writeFileSync(file, header);
  fs.truncateSync(file, header.length + length);
  return file;
}

/** Rejects where something goes on for so long that it must hang. */
export async function settled(promise, what) {
  let timer;
  const hangs = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `${what} hangs` })), 20_000);
  });
  try {
    return await Promise.race([promise, hangs]);
  } finally {
    clearTimeout(timer);
  }
}
