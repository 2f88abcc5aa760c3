// Streams, iterables and responses of the caller's, which do what the package does not expect of them. A part of
// node_test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { packageFolder, read, refusal, safetensorsOf, settled } from './support.mjs';

const ballast = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);
const { open, inspect } = ballast;

const GGUF = 'tiny.gguf';
const MIB = 1 << 20;
const never = () => new Promise(() => {});
const model = () => safetensorsOf({ w: Buffer.alloc(MIB, 7) });
const endless = (first, cancel) => new ReadableStream({ start: (controller) => controller.enqueue(first), cancel });

/** Ways to end a stream that no load may wait for or fail with. */
const ENDS = {
  'never settles': never,
  rejects: () => Promise.reject(new Error('of the stream')),
  throws: () => {
    throw new Error('of the stream');
  },
};

for (const [what, end] of Object.entries(ENDS)) {
  test(`a stream whose cancel() ${what} neither holds up nor fails a load`, async () => {
    for (const wrap of [(stream) => stream, (stream) => new Response(stream)]) {
      using head = await settled(inspect(wrap(endless(model(), end))), 'inspect');
      assert.equal(head.tensors.length, 1);
      const garbage = new Uint8Array(4096).fill(0x41);
      const refused = await settled(refusal(() => open(wrap(endless(garbage, end)))), 'open');
      assert.equal(refused.code, 'unknown_format');
      const controller = new AbortController();
      const reason = new Error('enough');
      setTimeout(() => controller.abort(reason), 20);
      const aborted = await settled(refusal(() => open(wrap(endless(model().subarray(0, 600), end)), { signal: controller.signal })), 'open');
      assert.equal(aborted, reason);
    }
  });

  test(`an iterable whose return() ${what} neither holds up nor fails a load`, async () => {
    const iterable = (first) => {
      const pieces = [first];
      return {
        [Symbol.asyncIterator]: () => ({
          next: () => (pieces.length > 0 ? Promise.resolve({ value: pieces.pop(), done: false }) : never()),
          return: end,
        }),
      };
    };
    using head = await settled(inspect(iterable(model())), 'inspect');
    assert.equal(head.tensors.length, 1);
    const { code } = await settled(refusal(() => open(iterable(new Uint8Array(4096).fill(0x41)))), 'open');
    assert.equal(code, 'unknown_format');
  });

  test(`an answer of a fetch whose body's cancel() ${what} neither holds up nor fails a load`, async () => {
    const bytes = model();
    const whole = () => new Response(bytes);
    const body = () => endless(new Uint8Array(10), end);
    const answers = {
      404: () => new Response(body(), { status: 404 }),
      416: (range) => (range ? new Response(body(), { status: 416 }) : whole()),
      encoded: (range) => (range ? new Response(body(), { status: 206, headers: { 'Content-Range': `bytes 0-9/${bytes.length}`, 'Content-Encoding': 'gzip' } }) : whole()),
    };
    for (const [kind, answer] of Object.entries(answers)) {
      const options = { fetch: async (_, { headers }) => answer(headers.Range) };
      const loading = inspect('http://localhost/m.safetensors', options);
      if (kind === '404') assert.equal((await settled(refusal(() => loading), kind)).code, 'http_status');
      else (await settled(loading, kind)).close();
    }
  });
}

test('a fetch that ignores the signal and never settles ends with the signal', async () => {
  for (const load of [open, inspect]) {
    const controller = new AbortController();
    setTimeout(() => controller.abort('enough'), 20);
    assert.equal(await settled(refusal(() => load('http://localhost/m.gguf', { fetch: never, signal: controller.signal })), load.name), 'enough');
  }
});

test('a stream that opens after the abort is closed', async () => {
  let cancelled;
  const body = new ReadableStream({ cancel: (reason) => (cancelled = reason) });
  const controller = new AbortController();
  let answer;
  const fetch = () => new Promise((resolve) => (answer = resolve));
  const loading = refusal(() => open('http://localhost/m.gguf', { fetch, signal: controller.signal }));
  await new Promise((resolve) => setTimeout(resolve));
  controller.abort('enough');
  assert.equal(await settled(loading, 'open'), 'enough');
  answer(new Response(body));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(cancelled, 'enough');
});

const bufferOf = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);

/** Bytes as everything that has bytes. */
const FORMS = {
  ArrayBuffer: bufferOf,
  'SharedArrayBuffer': (bytes) => {
    const shared = new SharedArrayBuffer(bytes.length);
    new Uint8Array(shared).set(bytes);
    return shared;
  },
  DataView: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  Int8Array: (bytes) => new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length),
  Uint16Array: (bytes) => new Uint16Array(bufferOf(bytes)),
  'ArrayBuffer of another realm': (bytes) => {
    const buffer = vm.runInNewContext(`new ArrayBuffer(${bytes.length})`);
    new Uint8Array(buffer).set(bytes);
    return buffer;
  },
};

test('pieces of a stream may be whatever has bytes, and so may a source', async () => {
  const bytes = read(GGUF).length % 2 === 0 ? read(GGUF) : safetensorsOf({ even: Buffer.alloc(2 * MIB) });
  using truth = await open(bytes);
  for (const [name, form] of Object.entries(FORMS)) {
    const half = 2 * (bytes.length >> 2);
    const pieces = () => [bytes.subarray(0, half), bytes.subarray(half)].map(form);
    for (const source of [form(bytes), ReadableStream.from(pieces()), (async function* () { yield* pieces(); })()]) {
      using loaded = await open(source);
      assert.equal(loaded.tensors.length, truth.tensors.length, name);
      for (const tensor of loaded.tensors) assert.deepEqual(tensor.copy(), truth.tensor(tensor.name).copy(), name);
    }
  }
});

test('pieces that are not bytes, and streams that cannot be read, are refused as what they are', async () => {
  const detached = (view) => {
    structuredClone(view.buffer, { transfer: [view.buffer] });
    return view;
  };
  const locked = new ReadableStream({});
  locked.getReader();
  const lockedBytes = new ReadableStream({ type: 'bytes' });
  lockedBytes.getReader();
  const piecewise = (...pieces) => [ReadableStream.from(pieces), (async function* () { yield* pieces; })()];
  const enqueued = (piece) => new ReadableStream({
    start: (controller) => {
      controller.enqueue(piece);
      controller.enqueue(model());
      controller.close();
    },
  });
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  const rows = [
    ...piecewise('text').map((stream) => ['unsupported_source', stream, /pieces of type string/]),
    ...piecewise(5).map((stream) => ['unsupported_source', stream, /pieces of type number/]),
    ...piecewise({}).map((stream) => ['unsupported_source', stream, /pieces of type Object/]),
    ['unsupported_source', enqueued(null), /pieces of type null/],
    ['unsupported_source', enqueued(undefined), /pieces of type undefined/],
    ...piecewise(detached(new Uint8Array(8))).map((stream) => ['unsupported_source', stream, /Uint8Array is detached/]),
    ['unsupported_source', buffer, /ArrayBuffer is detached/],
    ['unsupported_source', detached(new Uint8Array(8)), /Uint8Array is detached/],
    ['unsupported_source', detached(new DataView(new ArrayBuffer(8))), /DataView is detached/],
    ['cannot_read_again', locked, /locked/],
    ['cannot_read_again', lockedBytes, /locked/],
  ];
  for (const [code, source, message] of rows) {
    const error = await refusal(() => open(source));
    assert.ok(error instanceof ballast.BallastError, error.stack);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
  }
});

test('bytes that are transferred away during a load are missed', async () => {
  const bytes = new Uint8Array(safetensorsOf({ w: Buffer.alloc(64 * MIB) }));
  const loading = refusal(() => open(bytes, {
    onProgress: () => bytes.length > 0 && structuredClone(bytes.buffer, { transfer: [bytes.buffer] }),
  }));
  const { code } = await loading;
  assert.equal(code, 'file_changed');
});
