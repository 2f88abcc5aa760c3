// Files in Node: everything else has its turn while they are read, what is closed is read no more, and what says that it
// has no size is read to its end. A part of node_test.mjs.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import {
  assertBytes, assertSame, headerOf, inspected, packageFolder, read, refusal, sample, settled, temporaryFolder, writeSparse,
} from './support.mjs';

const entry = pathToFileURL(path.join(packageFolder, 'dist/node.js')).href;
const ballast = await import(entry);
const { open, inspect } = ballast;

const GGUF = 'tiny.gguf';
const MIB = 1 << 20;
/** What takes much longer to read than a timer of a millisecond. */
const LONG = 1024 * MIB;

const hasDescriptors = fs.existsSync('/proc/self/fd');
/** How many descriptors there are of files in a folder. */
const descriptors = (folder) => fs.readdirSync('/proc/self/fd').filter((number) => {
  try {
    return fs.readlinkSync(`/proc/self/fd/${number}`).startsWith(folder);
  } catch {
    return false; // of the reading itself
  }
}).length;
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Waits until something holds. */
async function until(holds, what) {
  for (let i = 0; i < 2000; ++i) {
    if (holds()) return;
    await turn();
  }
  assert.fail(what);
}

/** What a read ends with whose signal a timer aborts. */
async function timedOut(load) {
  const controller = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 1);
  assert.equal(await refusal(() => load({ signal: controller.signal })), reason);
}

test('timers have their turn while a file is read, so that a signal can end it', async (t) => {
  const file = writeSparse(path.join(temporaryFolder(t), 'long.safetensors'), LONG);
  const handle = await fsp.open(file);
  try {
    for (const source of [file, handle]) {
      using head = await inspect(source);
      await timedOut((work) => head.tensor('w').read(work));
      await timedOut((work) => head.load({ ...work, tensors: ['w'] }));
      await timedOut((work) => head.load(work));
      await timedOut((work) => open(source, work));
    }
    await assert.rejects(open(file, { signal: AbortSignal.timeout(1) }), { name: 'TimeoutError' });
  } finally {
    await handle.close();
  }
});

test('timers have their turn while bytes that are there already are taken', async () => {
  const piece = new Uint8Array(64 << 10);
  const header = headerOf({ w: LONG });
  await timedOut((work) => open((async function* () {
    yield header;
    for (let i = 0; i < LONG / piece.length; ++i) yield piece;
  })(), work));
  const zeros = zlib.gzipSync(Buffer.alloc(64 * MIB), { level: 1 });
  const bomb = Buffer.concat([zlib.gzipSync(header), ...Array(LONG / (64 * MIB)).fill(zeros)]);
  const options = { maxRatio: Infinity };
  await timedOut((work) => open(bomb, { ...options, ...work }));
  await timedOut((work) => open(ReadableStream.from([new Uint8Array(bomb)]), { ...options, ...work }));
});

test('what is closed is read no more, and says so', async (t) => {
  const folder = temporaryFolder(t);
  const length = 64 * MIB;
  const file = writeSparse(path.join(folder, 'w.safetensors'), length);
  const other = path.join(folder, 'other');
  fs.writeFileSync(other, Buffer.alloc(2 * length, 0x55));
  const packed = path.join(folder, 'packed.gz');
  fs.writeFileSync(packed, zlib.gzipSync(fs.readFileSync(file), { level: 1 }));
  const handle = await fsp.open(file);
  t.after(() => handle.close());
  const bytes = fs.readFileSync(file);
  const slowly = async (_, { headers, signal }) => {
    const [, first, last] = /(\d+)-(\d+)/.exec(headers.Range).map(Number);
    if (first > MIB) await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    return new Response(bytes.subarray(first, last + 1), { status: 206, headers: { 'Content-Range': `bytes ${first}-${last}/${bytes.length}` } });
  };
  const sources = { path: file, packed, FileHandle: handle, Blob: await fs.openAsBlob(file), bytes, URL: 'http://localhost/w.safetensors' };
  for (const [kind, source] of Object.entries(sources)) {
    const head = await inspect(source, { fetch: slowly });
    const reading = refusal(() => head.tensor('w').read());
    await new Promise((resolve) => setImmediate(resolve));
    head.close();
    const stolen = fs.openSync(other); // gets the number that has become free
    try {
      const error = await settled(reading, kind);
      assert.equal(error.code, 'closed', `${kind}: ${error.stack}`);
      assert.ok(error instanceof ballast.UsageError);
    } finally {
      fs.closeSync(stolen);
    }
  }
});

test('a FileHandle that its owner closes during a read is missed', async (t) => {
  const folder = temporaryFolder(t);
  const file = writeSparse(path.join(folder, 'w.safetensors'), 256 * MIB);
  fs.writeFileSync(path.join(folder, 'other'), Buffer.alloc(300 * MIB, 0x55));
  for (const load of [open, async (source) => (await inspect(source)).tensor('w').read()]) {
    const handle = await fsp.open(file);
    const loading = refusal(() => load(handle));
    await turn();
    await handle.close();
    const stolen = fs.openSync(path.join(folder, 'other'));
    try {
      assert.equal((await loading).code, 'closed');
    } finally {
      fs.closeSync(stolen);
    }
    assert.equal((await refusal(() => load(handle))).code, 'closed');
  }
});

test('descriptors of directories that nobody closed go with them', { skip: !hasDescriptors }, (t) => {
  const file = writeSparse(path.join(temporaryFolder(t), 'w.safetensors'), MIB);
  const script = `
    import fs from 'node:fs';
    const { inspect } = await import(${JSON.stringify(entry)});
    const count = () => fs.readdirSync('/proc/self/fd').filter((fd) => {
      try { return fs.readlinkSync('/proc/self/fd/' + fd).endsWith('w.safetensors'); } catch { return false; }
    }).length;
    const file = process.argv[1];
    const kept = await inspect(file);
    const leave = async () => { for (let i = 0; i < 50; ++i) (await inspect(file)).tensors; };
    await leave();
    for (let i = 0; i < 100 && count() > 1; ++i) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { length } = await kept.tensor('w').read(); // is read on
    const after = count();
    kept.close();
    console.log(JSON.stringify([length, after, count()]));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script, file], { encoding: 'utf8' });
  assert.deepEqual([status, stderr, stdout], [0, '', `[${MIB},1,0]\n`]);
});

test('a failed or finished load leaves no descriptor', { skip: !hasDescriptors }, async (t) => {
  const folder = temporaryFolder(t);
  const file = writeSparse(path.join(folder, 'w.safetensors'), MIB);
  const packed = path.join(folder, 'packed.gz');
  fs.writeFileSync(packed, zlib.gzipSync(fs.readFileSync(file)));
  const garbage = path.join(folder, 'garbage');
  fs.writeFileSync(garbage, Buffer.alloc(4096, 'x'));
  for (const source of [file, packed, garbage, folder]) {
    for (const load of [open, inspect]) (await load(source).catch(() => undefined))?.close();
    const head = await inspect(source).catch(() => undefined);
    (await head?.load({ tensors: ['w'] }))?.close();
    head?.close();
  }
  await turn();
  using head = await inspect(packed); // read anew for every tensor
  await head.tensor('w').read();
  assert.equal(descriptors(folder), 0);
});

test('a FIFO is waited for beside everything else, and given up when the signal says so', async (t) => {
  const folder = temporaryFolder(t);
  const fifo = path.join(folder, 'fifo');
  if (spawnSync('mkfifo', [fifo]).status !== 0) return t.skip('there are no FIFOs here');
  // In another process: where it is not given up, that hangs for ever. More often than there are threads that could wait.
  const script = `
    const { open, inspect } = await import(${JSON.stringify(entry)});
    const names = [];
    for (const load of [open, inspect, open, inspect, open, inspect]) {
      await load(process.argv[1], { signal: AbortSignal.timeout(20) }).catch(({ name }) => names.push(name));
    }
    await open(process.argv[2]);
    console.log(names.join());`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, fifo, sample(GGUF)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  try {
    await until(() => child.exitCode !== null, 'the process hangs');
    assert.equal(output, `${Array(6).fill('TimeoutError').join()}\n`);
  } finally {
    child.kill('SIGKILL');
  }

  const writer = fs.openSync(fifo, 'r+');
  t.after(() => fs.closeSync(writer));
  const before = hasDescriptors ? descriptors(folder) : 0;
  const controller = new AbortController();
  const loading = refusal(() => open(fifo, { signal: controller.signal }));
  await turn();
  fs.writeSync(writer, read(GGUF).subarray(0, 100));
  await turn();
  controller.abort('enough');
  assert.equal(await loading, 'enough');
  if (hasDescriptors) await until(() => descriptors(folder) === before, 'the descriptor is not freed');
  return undefined;
});

test('a descriptor is freed when the last read of it has ended', { skip: !hasDescriptors }, async (t) => {
  const fstat = fs.fstatSync;
  t.mock.method(fs, 'fstatSync', (descriptor) => Object.assign(fstat(descriptor), { size: 0 }));
  const folder = temporaryFolder(t);
  const file = writeSparse(path.join(folder, 'w.safetensors'), 64 * MIB);
  for (let i = 0; i < 30; ++i) {
    const controller = new AbortController();
    const loading = refusal(() => open(file, { signal: controller.signal }));
    for (let turns = 0; turns < i; ++turns) await new Promise((resolve) => setImmediate(resolve));
    controller.abort('enough');
    assert.equal(await loading, 'enough');
  }
  await until(() => descriptors(folder) === 0, 'descriptors are left');
});

test('what comes through a FIFO is a model', async (t) => {
  const fifo = path.join(temporaryFolder(t), 'fifo');
  if (spawnSync('mkfifo', [fifo]).status !== 0) return t.skip('there are no FIFOs here');
  for (const [name, pack] of [[GGUF, (bytes) => bytes], ['tiny.safetensors', zlib.gzipSync]]) {
    const writing = fsp.writeFile(fifo, pack(read(name)));
    using model = await settled(open(fifo), 'open');
    assertSame(model, inspected(sample(name)));
    await writing;
    const reading = inspect(fifo);
    // The reader leaves when it has the directory, which may be before everything is written.
    await fsp.writeFile(fifo, pack(read(name))).catch((error) => assert.equal(error.code, 'EPIPE'));
    using head = await settled(reading, 'inspect');
    assertSame(head, inspected(sample(name)));
  }
  return undefined;
});

test('a file that says it has no bytes is read to its end', async (t) => {
  const fstat = fs.fstatSync;
  t.mock.method(fs, 'fstatSync', (descriptor) => Object.assign(fstat(descriptor), { size: 0 }));
  for (const name of [GGUF, 'tiny.safetensors', 'tiny-00001-of-00003.gguf']) {
    const handle = await fsp.open(sample(name));
    for (const source of name.includes('-of-') ? [sample(name)] : [sample(name), handle]) {
      using model = await open(source);
      assertSame(model, inspected(sample(name)));
      if (!model.isSharded) assertBytes(model, sample(name));
      using head = await inspect(source);
      assertSame(head, inspected(sample(name)));
      const tensor = model.tensors.find(({ byteLength }) => byteLength > 0);
      assert.deepEqual(await head.tensor(tensor.name).read(), tensor.copy());
    }
    await handle.close();
  }
  const empty = path.join(temporaryFolder(t), 'empty');
  fs.writeFileSync(empty, '');
  for (const load of [open, inspect]) assert.equal((await refusal(() => load(empty))).code, 'empty_file');
});

test('the files of /proc are what is in them', { skip: !fs.existsSync('/proc/self/cmdline') }, async () => {
  for (const load of [open, inspect]) assert.equal((await refusal(() => load('/proc/self/cmdline'))).code, 'unknown_format');
});
