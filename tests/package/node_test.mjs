// The package in Node, from its packed tarball: every kind of source gives the same model, and every
// failure its code.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { serve } from './server.mjs';
import {
  BALLAST_SAMPLES, assertBytes, assertSame, corpus, inspected, packageFolder, read, refusal, sample, temporaryFolder,
} from './support.mjs';

// Bundled with this file, as the oldest Node needs it.
import './cli_cases.mjs';
import './files_cases.mjs';
import './limits_cases.mjs';
import './streams_cases.mjs';
import './versions_cases.mjs';

const ballast = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);
const { open, inspect, preflight, hasWasm64 } = ballast;

const GGUF = 'tiny.gguf';
const SAFETENSORS = 'tiny.safetensors';
const INDEX = 'tiny.safetensors.index.json';
let server;
const url = (name, query = '') => `${server.origin}/samples/${name}${query}`;

before(async () => {
  server = await serve({ samples: BALLAST_SAMPLES });
});
after(() => server.close());

/** What a test makes of one file, by every way in. */
const SOURCES = {
  path: (name) => sample(name),
  'file: URL': (name) => pathToFileURL(sample(name)),
  'file: URL as text': (name) => pathToFileURL(sample(name)).href,
  URL: (name) => new URL(url(name)),
  'URL as text': (name) => url(name),
  Request: (name) => new Request(url(name)),
  Response: (name) => fetch(url(name)),
  Blob: (name) => new Blob([read(name)]),
  'file as Blob': (name) => fs.openAsBlob(sample(name)),
  FileHandle: (name) => fsp.open(sample(name)),
  'Node stream': (name) => fs.createReadStream(sample(name)),
  ReadableStream: (name) => new Blob([read(name)]).stream(),
  'async iterable': (name) => (async function* () {
    for (const byte of read(name)) yield Uint8Array.of(byte);
  })(),
  ArrayBuffer: (name) => new Uint8Array(read(name)).buffer,
  'typed array': (name) => read(name),
  DataView: (name) => new DataView(new Uint8Array(read(name)).buffer),
};

for (const [kind, source] of Object.entries(SOURCES)) {
  test(`a model from a ${kind} is what the command says of the file`, async () => {
    for (const name of [GGUF, SAFETENSORS]) {
      const given = await source(name);
      using model = await open(given);
      assertSame(model, inspected(sample(name)));
      assertBytes(model, sample(name));
      await given.close?.();
    }
  });

  test(`the directory from a ${kind} is that of the model`, async () => {
    for (const name of [GGUF, SAFETENSORS]) {
      const given = await source(name);
      using head = await inspect(given);
      assertSame(head, inspected(sample(name)));
      assert.ok(head.bytesRead > 0 && head.bytesRead <= fs.statSync(sample(name)).size);
      await given.close?.();
    }
  });
}

test('every compression is decoded, by its content', async (t) => {
  const folder = temporaryFolder(t);
  const forms = {
    gzip: (bytes) => zlib.gzipSync(bytes),
    zlib: (bytes) => zlib.deflateSync(bytes),
    zstd: (bytes) => execFileSync('zstd', ['-q', '-c'], { input: bytes }),
    xz: (bytes) => execFileSync('xz', ['-c'], { input: bytes }),
    bzip2: (bytes) => execFileSync('bzip2', ['-c'], { input: bytes }),
    lz4: (bytes) => execFileSync('lz4', ['-q', '-c'], { input: bytes }),
  };
  for (const [name, compress] of Object.entries(forms)) {
    let bytes;
    try {
      bytes = compress(read(GGUF));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      t.diagnostic(`${name}: its tool is not here`);
      continue;
    }
    const file = path.join(folder, 'model');
    fs.writeFileSync(file, bytes);
    const progress = [];
    using model = await open(file, { onProgress: (step) => progress.push(step) });
    assertBytes(model, sample(GGUF));
    assert.equal(model.shards[0].compression, name);
    assert.equal(progress.at(-1).loaded, bytes.length);
    assert.equal(progress.at(-1).total, bytes.length);
    assert.equal(progress.at(-1).decoded, read(GGUF).length);
    using fromBytes = await open(bytes);
    assertBytes(fromBytes, sample(GGUF));
    using head = await inspect(bytes);
    assert.equal(head.tensors.length, model.tensors.length);
    const { name: tensor } = head.tensors.at(-1);
    assert.deepEqual(await head.tensor(tensor).read(), model.tensor(tensor).copy());
  }
});

test('a first shard, an index and a list of files give the set', async () => {
  for (const first of ['tiny-00001-of-00003.gguf', INDEX]) {
    const truth = inspected(sample(first));
    for (const source of [sample(first), url(first), new Request(url(first))]) {
      using model = await open(source);
      assertSame(model, truth);
      assert.ok(model.isSharded);
      using head = await inspect(source);
      assertSame(head, truth);
      const { name, byteLength } = head.tensors.at(-1);
      const bytes = await head.tensor(name).read();
      assert.equal(bytes.length, byteLength);
      assert.deepEqual(bytes, model.tensor(name).copy());
    }
  }
  const names = [1, 2, 3].map((number) => `tiny-0000${number}-of-00003.gguf`);
  for (const sources of [names.map(sample), names.map((name) => new Blob([read(name)]))]) {
    using model = await open(sources);
    assert.equal(model.shards.length, 3);
    assert.equal(model.tensors.length, inspected(sample(names[0])).tensors.length);
  }
});

test('the files of an index may be listed in any order', async () => {
  const names = ['tiny-00002-of-00002.safetensors', INDEX, 'tiny-00001-of-00002.safetensors'];
  const truth = inspected(sample(INDEX));
  for (const sources of [names.map(sample), names.map((name) => new File([read(name)], name)), names.map((name) => url(name))]) {
    using model = await open(sources);
    assertSame(model, truth);
    using head = await inspect(sources);
    assertSame(head, truth);
    for (const tensor of model.tensors) assert.deepEqual(await head.tensor(tensor.name).read(), tensor.copy());
  }
  const [second, index, first] = names.map((name) => new Blob([read(name)]));
  const code = async (sources) => (await refusal(() => open(sources))).code;
  assert.equal(await code([second, index, first]), 'json_document'); // nothing says which of them is the index
  using unnamed = await open([index, first, second]);
  assert.equal(unnamed.tensors.length, truth.tensors.length);
  assert.equal(await code([index, second, first]), 'tensor_not_in_shard');
  assert.equal(await code(index), 'missing_shard');
});

test('an index says what the numbers in it are, and is refused by the byte that is wrong', async (t) => {
  const folder = temporaryFolder(t);
  const write = (text) => {
    const file = path.join(folder, 'model.safetensors.index.json');
    fs.writeFileSync(file, text);
    return file;
  };
  const shard = read('tiny-00001-of-00002.safetensors');
  fs.writeFileSync(path.join(folder, 'one.safetensors'), shard);
  const tensors = Object.keys(JSON.parse(shard.subarray(8, 8 + Number(shard.readBigUInt64LE())))).filter((key) => key !== '__metadata__');
  const map = JSON.stringify(Object.fromEntries(tensors.map((name) => [name, 'one.safetensors'])));
  const numbers = ['18446744073709551615', '-9223372036854775808', '18446744073709551616', '2.6966474752e10', '0.1', '5e-324', '1.7976931348623157e308',
    '123456789012345678901234567890e-20', '-0.0'];
  const file = write(`{"metadata":{${numbers.map((text, i) => `"${i}":${text}`).join()},"t":true,"s":"\\u0061","l":[1, 2]},"weight_map":${map}}`);
  using model = await open(file);
  assertSame(model, inspected(file));
  assert.deepEqual(Array.from(model.metadata, ([, value]) => value),
    [2n ** 64n - 1n, -(2n ** 63n), ...numbers.slice(2).map(Number), true, 'a', '[1, 2]']);

  for (const [text, code, offset] of [
    ['{"weight_map":{"a":"x","a":"y"}}', 'duplicate_tensor', 23],
    ['{"weight_map":{"a":"../x"}}', 'bad_shard_name', 19],
    ['{"weight_map":{"a":1}}', 'bad_field', 19],
    ['{"metadata":{"n":1e400},"weight_map":{"a":"x"}}', 'bad_field', 17],
    ['{"weight_map":{"a":"x"}', 'bad_json', 23],
    ['{"model_type":"llama"}', 'json_document', 0],
    ['{"weight_map":{"a":"absent"}}', 'missing_shard', undefined],
    [`{"weight_map":{"other":"one.safetensors",${map.slice(1)}}`, 'tensor_not_in_shard', 15],
  ]) {
    const error = await refusal(() => open(write(text)));
    assert.deepEqual([error.code, error.offset], [code, offset], text);
    assert.equal((await refusal(() => inspect(write(text)))).code, code);
  }
});

test('the shards of a set may be compressed', async (t) => {
  const folder = temporaryFolder(t);
  for (const number of [1, 2, 3]) {
    const name = `tiny-0000${number}-of-00003.gguf`;
    fs.writeFileSync(path.join(folder, number === 2 ? name : `${name}.gz`), number === 2 ? read(name) : zlib.gzipSync(read(name)));
  }
  using model = await open(path.join(folder, 'tiny-00001-of-00003.gguf.gz'));
  assertSame(model, { ...inspected(sample('tiny-00001-of-00003.gguf')), tensors: inspected(sample('tiny-00001-of-00003.gguf')).tensors.map(({ shard, ...rest }) => rest) });
});

test('a set that is not whole says what is missing', async (t) => {
  const folder = temporaryFolder(t);
  fs.copyFileSync(sample('tiny-00001-of-00003.gguf'), path.join(folder, 'tiny-00001-of-00003.gguf'));
  const error = await refusal(() => open(path.join(folder, 'tiny-00001-of-00003.gguf')));
  assert.equal(error.code, 'missing_shard');
  assert.match(error.message, /tiny-00002-of-00003\.gguf/);
  assert.ok(error instanceof ballast.SourceError);
  assert.equal((await refusal(() => open(read('tiny-00001-of-00003.gguf')))).code, 'incomplete_set');
  // It is the content that says whether a file belongs to a set, and the name that leads to the others.
  const renamed = path.join(folder, 'renamed.gguf');
  fs.writeFileSync(renamed, read('tiny-00001-of-00003.gguf'));
  assert.equal((await refusal(() => open(renamed))).code, 'shard_name_mismatch');
  assert.equal((await refusal(() => inspect(renamed))).code, 'shard_name_mismatch');
  const alone = path.join(folder, 'alone-00001-of-00003.gguf');
  fs.writeFileSync(alone, read(GGUF));
  using model = await open(alone);
  assert.equal(model.isSharded, false);
});

test('some tensors are fetched, and no more bytes than they have', async () => {
  using whole = await open(sample(GGUF));
  using head = await inspect(url(GGUF));
  const names = head.tensors.filter(({ byteLength }) => byteLength > 0).map(({ name }) => name);
  const wanted = [names[0], names.at(-1)];
  const seen = server.log.length;
  using model = await head.load({ tensors: wanted });
  for (const { name, isLoaded } of model.tensors) assert.equal(isLoaded || model.tensor(name).byteLength === 0, wanted.includes(name) || model.tensor(name).byteLength === 0, name);
  for (const name of wanted) {
    assert.deepEqual(model.tensor(name).copy(), whole.tensor(name).copy());
    assert.equal(model.tensor(name).bytes().byteOffset % 64, 0);
  }
  assert.equal((await refusal(() => model.tensor(names[1]).bytes())).code, 'not_loaded');
  assert.equal((await refusal(() => head.load({ tensors: ['no such'] }))).code, 'no_such_tensor');
  assert.ok(server.log.slice(seen).every(({ status }) => status === 206));
  using all = await head.load();
  assertBytes(all, sample(GGUF));
});

test('typed values are views where they are aligned, and say when they are copies', async () => {
  using model = await open(sample(SAFETENSORS));
  const kinds = { F32: Float32Array, F64: Float64Array, F16: Uint16Array, BF16: Uint16Array, I64: BigInt64Array, I32: Int32Array, I16: Int16Array, I8: Int8Array, U8: Uint8Array, BOOL: Uint8Array };
  let seen = 0;
  for (const tensor of model.tensors) {
    const kind = kinds[tensor.dtype];
    if (!kind) continue;
    const { array, isView } = tensor.typed();
    assert.ok(array instanceof kind, tensor.dtype);
    assert.equal(array.length, tensor.elementCount);
    assert.equal(isView, tensor.isAligned);
    assert.equal(isView, array.buffer === tensor.bytes().buffer);
    assert.deepEqual(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), tensor.bytes());
    seen += 1;
  }
  assert.ok(seen > 2);
  // A header of odd length: nothing in it is aligned.
  const header = Buffer.from('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}');
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const values = Buffer.alloc(9);
  values.writeFloatLE(1.5, 1);
  values.writeFloatLE(-2, 5);
  using odd = await open(Buffer.concat([size, header, values]));
  assert.equal(odd.tensor('b').isAligned, false);
  assert.deepEqual(odd.tensor('b').typed(), { array: Float32Array.of(1.5, -2), isView: false });
  using gguf = await open(sample(GGUF));
  const quantized = gguf.tensors.find(({ dtype }) => dtype.startsWith('Q'));
  if (quantized) assert.equal((await refusal(() => quantized.typed())).code, 'wrong_type');
});

test('arrays of metadata are decoded one by one, as a whole, and as numbers', async () => {
  using model = await open(sample(GGUF));
  let strings = 0;
  let numbers = 0;
  for (const { type, value } of model.metadata.entries()) {
    if (type !== 'array') continue;
    const all = value.toArray();
    assert.equal(all.length, value.length);
    assert.equal([...value].length, value.length);
    if (value.length > 0 && value.elementType !== 'array') {
      assert.deepEqual(value.at(0), all[0]);
      assert.deepEqual(value.at(-1), all.at(-1));
    }
    assert.equal(value.at(value.length), undefined);
    assert.equal(value.at(-value.length - 1), undefined);
    if (value.elementType === 'string') {
      strings += 1;
      assert.equal((await refusal(() => value.typed())).code, 'wrong_type');
    } else if (value.elementType !== 'array') {
      numbers += 1;
      assert.deepEqual(Array.from(value.typed(), Number), all.map(Number));
    }
  }
  assert.ok(strings > 0 && numbers > 0);
  assert.equal(model.metadata.get('no such key'), undefined);
  assert.deepEqual([...model.metadata.keys()], Object.keys(inspected(sample(GGUF)).metadata));
});

test('what a model gave out ends with it', async () => {
  const model = await open(sample(GGUF));
  const tensor = model.tensors.find(({ byteLength }) => byteLength > 0);
  const copy = tensor.copy();
  const array = [...model.metadata.entries()].find(({ type }) => type === 'array').value;
  assert.ok(model.memory().used > 0 && model.memory().peak >= model.memory().used);
  model.close();
  model.close();
  assert.ok(model.isClosed);
  for (const use of [() => tensor.bytes(), () => tensor.typed(), () => model.tensors, () => model.tensor('x'), () => model.metadata.get('x'), () => array.at(0), () => model.memory()]) {
    const error = await refusal(use);
    assert.equal(error.code, 'closed');
    assert.ok(error instanceof ballast.UsageError);
  }
  assert.equal(copy.length, tensor.byteLength);
});

test('a closed model gives its memory back', async () => {
  const bytes = 256 << 20;
  const header = Buffer.from(`{"w":{"dtype":"U8","shape":[${bytes}],"data_offsets":[0,${bytes}]}}`);
  const script = `
    const { open } = await import(${JSON.stringify(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href)});
    const head = Buffer.alloc(8);
    const json = Buffer.from(${JSON.stringify(header.toString())});
    head.writeBigUInt64LE(BigInt(json.length));
    const piece = new Uint8Array(1 << 20).fill(1);
    const source = async function* () { yield head; yield json; for (let i = 0; i < ${bytes >> 20}; ++i) yield piece; };
    let most = 0;
    for (let i = 0; i < 8; ++i) {
      const model = await open(source());
      most = Math.max(most, process.memoryUsage().rss);
      model.close();
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
      globalThis.gc();
    }
    console.log(JSON.stringify({ most }));`;
  const { most } = JSON.parse(execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script]));
  // Eight of them, one after the other; memory that WebAssembly kept would be that of all.
  assert.ok(most < 3.2 * bytes, `${most >> 20} MiB at most`);
});

test('pieces that a program has given stay as they are', async () => {
  const bytes = read(GGUF);
  const pieces = [0, 1000].map((at) => new Uint8Array(bytes.subarray(at, at === 0 ? 1000 : undefined)));
  const stream = () => ReadableStream.from(pieces);
  for (const source of [stream(), new Response(stream())]) {
    using model = await open(source);
    assertSame(model, inspected(sample(GGUF)));
    assert.ok(Buffer.concat(pieces).equals(bytes));
  }
});

test('the instance of a closed directory serves the next one, and keeps nothing of the last', async (t) => {
  const [gguf, safetensors] = [GGUF, SAFETENSORS].map((name) => inspected(sample(name)));
  const instantiate = t.mock.method(WebAssembly, 'instantiate');
  const made = () => instantiate.mock.callCount();
  const uses = [];
  for (let i = 0; i < 5; ++i) {
    using head = await inspect(sample(GGUF));
    assertSame(head, gguf);
    uses.push(head.memory());
    if (i === 0) instantiate.mock.resetCalls();
  }
  assert.equal(made(), 0);
  assert.deepEqual(uses, Array(5).fill(uses[0]));

  // Those that are open at once have one each, and so has a model.
  const first = await inspect(sample(GGUF));
  const second = await inspect(sample(SAFETENSORS));
  assert.equal(made(), 1);
  assertSame(first, gguf);
  assertSame(second, safetensors);
  first.close();
  first.close();
  using model = await open(sample(GGUF));
  assert.equal(made(), 2);
  assertSame(model, gguf);
  second.close();
});

test('an abort ends a load at once, with its reason, and the connection with it', async () => {
  for (const load of [open, inspect]) {
    const already = await refusal(() => load(sample(GGUF), { signal: AbortSignal.abort('no more') }));
    assert.equal(already, 'no more');
  }
  for (const query of ['?stall=100', '?slow=2000']) {
    const controller = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 100);
    const begin = performance.now();
    const error = await refusal(() => open(url(GGUF, query), { signal: controller.signal }));
    assert.equal(error, reason);
    assert.ok(performance.now() - begin < 2000);
  }
  const controller = new AbortController();
  let returned = false;
  const endless = {
    async *[Symbol.asyncIterator]() {
      try {
        const bytes = read(GGUF);
        yield bytes.subarray(0, 200);
        await new Promise((resolve) => setTimeout(resolve, 10_000).unref());
      } finally {
        returned = true;
      }
    },
  };
  setTimeout(() => controller.abort(), 50);
  const error = await refusal(() => open(endless, { signal: controller.signal }));
  assert.equal(error.name, 'AbortError');
  void returned;
});

test('progress goes up to everything, and tells the rate', async () => {
  const steps = [];
  using model = await open(url(GGUF, '?slow=20000'), { onProgress: (step) => steps.push(step) });
  const { size } = fs.statSync(sample(GGUF));
  assert.equal(model.tensors.length > 0, true);
  assert.ok(steps.length > 1);
  assert.deepEqual(steps.map(({ loaded }) => loaded), steps.map(({ loaded }) => loaded).toSorted((a, b) => a - b));
  assert.deepEqual({ loaded: steps.at(-1).loaded, total: steps.at(-1).total, decoded: steps.at(-1).decoded }, { loaded: size, total: size, decoded: size });
  assert.ok(steps.at(-1).rate > 0);
});

test('what servers do wrong is seen, or does not matter', async () => {
  const truth = inspected(sample(GGUF));
  for (const query of ['?length=none', '?encoding=gzip', '?encoding=br', '?range=ignore', '?redirect=1', '?encoding=gzip&range=ignore']) {
    using model = await open(url(GGUF, query));
    assertSame(model, truth);
    using head = await inspect(url(GGUF, query));
    assertSame(head, truth);
  }
  const { size } = fs.statSync(sample(GGUF));
  const codes = {
    '?html=1': ['html_page'],
    '?status=404': ['http_status'],
    '?status=403': ['http_status'],
    '?status=500': ['http_status'],
    [`?cut=${size >> 1}`]: ['network', 'truncated', 'outside_file', 'incomplete_input'],
    '?redirect=loop': ['network'],
  };
  for (const [query, expected] of Object.entries(codes)) {
    const error = await refusal(() => open(url(GGUF, query)));
    assert.ok(expected.includes(error.code), `${query}: ${error.code}: ${error.message}`);
    assert.ok(error.message.includes(server.origin), error.message);
    if (error.code === 'http_status') assert.equal(error.status, Number(query.slice(-3)));
  }
  const refused = await refusal(() => open('http://127.0.0.1:1/model.gguf'));
  assert.equal(refused.code, 'network');
  assert.ok(refused.cause instanceof Error);
});

test('only the answer to a Range request that was asked for is believed', async (t) => {
  // More than the first request takes, so that there is a second one.
  const folder = temporaryFolder(t);
  const tensor = 300_000;
  const header = Buffer.from(JSON.stringify({ a: { dtype: 'U8', shape: [tensor], data_offsets: [0, tensor] } }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const body = Buffer.alloc(tensor, 'ballast');
  fs.writeFileSync(path.join(folder, 'm.safetensors'), Buffer.concat([size, header, body]));
  const other = await serve({ models: folder });
  t.after(() => other.close());
  const at = (query) => `${other.origin}/models/m.safetensors${query}`;

  using good = await inspect(at(''));
  assert.equal(good.bytesRead, 64 << 10);
  assert.equal(good.fileBytes, 8 + header.length + tensor);
  assert.deepEqual(Buffer.from(await good.tensor('a').read()), body);

  for (const query of ['?range=ignore', '?range=wrong']) {
    using head = await inspect(at(query));
    assert.deepEqual(Buffer.from(await head.tensor('a').read()), body, query);
  }
  for (const [query, expected] of Object.entries({ '?range=short': ['bad_range', 'network'], '?etag=changing': ['file_changed'] })) {
    const error = await refusal(async () => {
      using head = await inspect(at(query));
      await head.tensor('a').read();
    });
    assert.ok(expected.includes(error.code), `${query}: ${error.code}: ${error.message}`);
  }
});

test('files that are not there, folders and strange values are refused as what they are', async () => {
  const codes = new Map([
    [sample('no such file'), 'no_such_file_or_directory'],
    [BALLAST_SAMPLES, 'is_a_directory'],
    [42, 'unsupported_source'],
    [null, 'unsupported_source'],
    [undefined, 'unsupported_source'],
    [{}, 'unsupported_source'],
    [[], 'unsupported_source'],
    ['http://[', 'unsupported_source'],
    [new URL('file://elsewhere/model.gguf'), 'unsupported_source'],
    [new Uint8Array(), 'empty_file'],
    [Buffer.from('<!DOCTYPE html><title>404</title>'), 'html_page'],
    [Buffer.from('{"a":1}'), 'json_document'],
  ]);
  for (const [source, code] of codes) {
    for (const load of [open, inspect]) {
      const error = await refusal(() => load(source));
      assert.equal(error.code, code, String(source));
      assert.ok(error instanceof ballast.BallastError);
      assert.equal(error.name, error.constructor.name);
    }
  }
  const stream = new Blob([read(GGUF)]).stream();
  using model = await open(stream);
  assert.ok(model.tensors.length > 0);
});

test('a file that changes behind its Blob is refused', async (t) => {
  const file = path.join(temporaryFolder(t), 'model.gguf');
  fs.copyFileSync(sample(GGUF), file);
  const blob = await fs.openAsBlob(file);
  using head = await inspect(blob);
  // Bytes, not only a time: that may be the same.
  fs.appendFileSync(file, 'more');
  for (const use of [() => open(blob), () => inspect(blob), () => head.tensors.find(({ byteLength }) => byteLength > 0).read()]) {
    const error = await refusal(use);
    assert.equal(error.code, 'file_changed', error.stack);
    assert.equal(error.cause.name, 'NotReadableError');
  }
});

test('what does not fit is refused before the first byte of it', async () => {
  const size = read(GGUF).length;
  const error = await refusal(() => open(sample(GGUF), { maxBytes: size - 1 }));
  assert.equal(error.code, 'too_large');
  assert.ok(error instanceof ballast.LimitError);
  const { fits, needed, limit, message, bits } = await preflight(sample(GGUF), { maxBytes: 1000 });
  assert.deepEqual({ fits, limit, bits }, { fits: false, limit: 1000, bits: 32 });
  assert.ok(needed > 1000 && needed <= size);
  assert.match(message, /^needs .*B, limit .*B$/);
  assert.ok((await preflight(url(GGUF))).fits);
});

test('a model of 64 bits is taken where the engine can, and where it was asked for', async (t) => {
  if (!hasWasm64()) {
    for (const load of [open, inspect]) assert.equal((await refusal(() => load(sample(GGUF), { bits: 64 }))).code, 'no_wasm64');
    t.diagnostic('this Node has no 64-bit memory');
    return;
  }
  using model = await open(sample(GGUF), { bits: 64 });
  assert.equal(model.bits, 64);
  assertSame(model, inspected(sample(GGUF)));
  assertBytes(model, sample(GGUF));
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'big.safetensors');
  const bytes = 2 ** 31 + 1000;
  const header = Buffer.from(JSON.stringify({ a: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } }));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(header.length));
  fs.writeFileSync(file, Buffer.concat([head, header]));
  fs.truncateSync(file, 8 + header.length + bytes);
  assert.equal((await preflight(file)).bits, 64);
  assert.equal((await refusal(() => open(file, { bits: 32 }))).code, 'vector_limit');
  using big = await open(file);
  assert.equal(big.bits, 64);
  assert.equal(big.tensor('a').byteLength, bytes);
});

test('a set that is larger than 32-bit memory moves to 64 bits where it can, and else is refused', async () => {
  // Handles of files whose weights nobody writes: their memory is asked for, and never touched.
  const size = 1.5 * 2 ** 30;
  const names = ['a', 'b', 'c'];
  const handles = names.map((name) => {
    const header = Buffer.from(JSON.stringify({ [name]: { dtype: 'U8', shape: [size], data_offsets: [0, size] } }));
    const head = Buffer.concat([Buffer.alloc(8), header]);
    head.writeBigUInt64LE(BigInt(header.length));
    return {
      getSize: () => head.length + size,
      read: (room, { at }) => {
        room.set(head.subarray(at, at + room.length));
        return Math.min(room.length, head.length + size - at);
      },
    };
  });
  const index = Buffer.from(JSON.stringify({ weight_map: Object.fromEntries(names.map((name) => [name, `${name}.safetensors`])) }));
  const load = () => open([index, ...handles]);
  if (!hasWasm64()) return assert.equal((await refusal(load)).code, 'out_of_memory');
  using model = await load();
  assert.equal(model.bits, 64);
  assert.deepEqual(model.tensors.map(({ name, byteLength }) => [name, byteLength]), names.map((name) => [name, size]));
  assert.equal((await refusal(() => open([index, ...handles], { bits: 32 }))).code, 'out_of_memory');
  return undefined;
});

test('the module may come from elsewhere', async () => {
  const wasm = fs.readFileSync(path.join(packageFolder, 'dist/ballast.wasm'));
  const truth = inspected(sample(GGUF));
  for (const given of [{ wasmBinary: wasm }, { wasmModule: await WebAssembly.compile(wasm) }]) {
    using model = await open(sample(GGUF), given);
    assertSame(model, truth);
  }
  const other = await serve({ dist: path.join(packageFolder, 'dist') });
  try {
    using model = await open(sample(GGUF), { wasmUrl: `${other.origin}/dist/ballast.wasm` });
    assertSame(model, truth);
  } finally {
    await other.close();
  }
});

test('what is not the module is refused as such, wherever it comes from', async (t) => {
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  const wantsMemory = Uint8Array.of(...empty, 2, 8, 1, 1, 97, 1, 98, 2, 0, 1);
  for (const given of [
    { wasmBinary: empty.subarray(0, 3) },
    { wasmBinary: empty },
    { wasmModule: await WebAssembly.compile(wantsMemory) },
    { wasmUrl: 'http://127.0.0.1:1/ballast.wasm' },
    { wasmUrl: url('none.wasm') },
    { wasmUrl: url(GGUF, '?html=1') },
  ]) {
    for (const load of [open, inspect]) {
      const error = await refusal(() => load(read(GGUF), given));
      assert.equal(error.code, 'no_module', error.stack);
      assert.ok(error instanceof ballast.SourceError);
      if (given.wasmUrl) assert.ok(error.message.startsWith(given.wasmUrl), error.message);
    }
  }
  t.mock.method(WebAssembly, 'instantiate', () => Promise.reject(new RangeError('Cannot allocate Wasm memory')));
  const error = await refusal(() => open(read(GGUF)));
  assert.equal(error.code, 'out_of_memory');
  assert.ok(error instanceof ballast.LimitError);
});

test('the entry of one file has no 64-bit module, and says so', async (t) => {
  const inline = await import(pathToFileURL(path.join(packageFolder, 'dist/inline.js')).href);
  using model = await inline.open(read(GGUF));
  assertSame(model, inspected(sample(GGUF)));
  for (const load of [inline.open, inline.inspect, inline.preflight]) {
    assert.equal((await refusal(() => load(read(GGUF), { bits: 64 }))).code, 'no_wasm64');
  }
  // Where a model does not fit, it is not loaded a second time in vain.
  const compile = t.mock.method(WebAssembly, 'compile');
  assert.equal((await refusal(() => inline.open(read(GGUF), { maxBytes: 1000 }))).code, 'too_large');
  const text = Buffer.from(JSON.stringify({ a: { dtype: 'U8', shape: [2 ** 32], data_offsets: [0, 2 ** 32] } }));
  const header = Buffer.concat([Buffer.of(text.length, 0, 0, 0, 0, 0, 0, 0), text]);
  const handle = {
    getSize: () => header.length + 2 ** 32,
    read: (room, { at }) => {
      room.set(header.subarray(at, at + room.length));
      return room.length;
    },
  };
  assert.equal((await refusal(() => inline.open(handle))).code, 'vector_limit');
  assert.equal(compile.mock.callCount(), 0);
});

test('CommonJS programs import it, and require it where Node can', (t) => {
  const rest = `(({ open }) => open(${JSON.stringify(sample(GGUF))})).then(({ tensors }) => console.log(tensors.length))`;
  const runs = (script) => spawnSync(process.execPath, ['-e', script], { cwd: path.join(packageFolder, '../..'), encoding: 'utf8' });
  const answers = [runs(`import('ballast-loader').then${rest}`)];
  if (process.features.require_module) answers.push(runs(`Promise.resolve(require('ballast-loader')).then${rest}`));
  else t.diagnostic('this Node cannot require ES modules');
  for (const { status, stdout, stderr } of answers) {
    assert.equal(status, 0, stderr);
    assert.equal(Number(stdout), inspected(sample(GGUF)).tensors.length);
  }
});

test('the command is the native one, and reads the directory of a URL', async () => {
  const cli = path.join(packageFolder, 'dist/cli.js');
  // Not waited for in one call: the server is in this process.
  const run = (...args) => new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { maxBuffer: 2 ** 30 }, (error, stdout, stderr) => {
      resolve({ status: error ? error.code : 0, stdout, stderr });
    });
  });
  const native = await run('inspect', '--json', sample(GGUF));
  assert.equal(native.status, 0, native.stderr);
  for (const name of [GGUF, 'tiny-00001-of-00003.gguf']) {
    const drop = (text) => text.replace(/^ {2}"runtime": .*$/m, '');
    const remote = await run('inspect', '--json', url(name));
    assert.equal(remote.stderr, '');
    assert.equal(drop(remote.stdout), drop((await run('inspect', '--json', sample(name))).stdout));
  }
  const missing = await run('inspect', url('no-such.gguf'));
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /^ballast: http:.*\(http_status\)\n$/);
  assert.equal((await run('cat', url(GGUF), 'x')).status, 2);
});

test('metadata keys of any name are only keys', async () => {
  const header = Buffer.from(JSON.stringify({ __metadata__: { constructor: 'x', toString: 'y' }, a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } })
    .replace('"constructor"', '"__proto__"'));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  using model = await open(Buffer.concat([size, header, Buffer.alloc(1)]));
  assert.equal(model.metadata.get('__proto__'), 'x');
  assert.equal(model.metadata.get('toString'), 'y');
  assert.equal(model.metadata.get('constructor'), undefined);
  assert.equal({}.x, undefined);
});

/** A safetensors file of one byte for each tensor, [name, dtype]; its header is written by hand, since JSON is read. */
function bytesOf(tensors, metadata = []) {
  const text = JSON.stringify;
  const parts = tensors.map(([name, dtype], i) => `${text(name)}:{"dtype":${text(dtype)},"shape":[1],"data_offsets":[${i},${i + 1}]}`);
  const header = Buffer.from(`{${[`"__metadata__":{${metadata.map(([key, value]) => `${text(key)}:${text(value)}`).join()}}`, ...parts].join()}}`);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header, Buffer.from(tensors.map((_, i) => i))]);
}

// What objects and arrays have, what reads as a place in one, and one letter in two forms.
const PROPERTIES = [
  '__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__', 'then', 'length', '0', '-1',
  '1e3', '', ' ', 'null', 'undefined', '\u00e9', 'e\u0301', 'a.__proto__.b',
];

test('names that objects have are names of tensors and keys like any other, and change no object', async () => {
  const before = JSON.stringify([Object.prototype, Array.prototype, Function.prototype].map((one) => Reflect.ownKeys(one).map(String)));
  const bytes = bytesOf(PROPERTIES.map((name) => [name, 'U8']), PROPERTIES.map((name) => [name, `value of ${name}`]));
  for (const source of [await open(bytes), await inspect(bytes)]) {
    using model = source;
    assert.deepEqual(model.tensors.map(({ name }) => name), PROPERTIES);
    assert.deepEqual(Array.from(model.metadata), PROPERTIES.map((name) => [name, `value of ${name}`]));
    assert.deepEqual(Array.from(model.metadata.keys()), PROPERTIES);
    for (const [i, name] of PROPERTIES.entries()) {
      assert.equal(model.metadata.get(name), `value of ${name}`);
      assert.equal(model.metadata.typeOf(name), 'string');
      assert.equal(model.find(name), model.tensors[i]);
      assert.equal(model.tensor(name).byteOffset, model.tensors[0].byteOffset + i);
    }
    // What goes to another thread.
    const told = structuredClone({ entries: Array.from(model.metadata.entries()), shards: model.shards, warnings: model.warnings });
    assert.deepEqual(told.entries.map(({ key }) => key), PROPERTIES);
    assert.deepEqual(Reflect.ownKeys(Object.fromEntries(model.metadata)).toSorted(), PROPERTIES.toSorted());
  }
  using plain = await open(bytesOf([['w', 'U8']]));
  for (const name of [...PROPERTIES, 'w\0', 'w ', 'W', 'w\u200b']) {
    assert.equal(plain.metadata.get(name), undefined, name);
    assert.equal(plain.metadata.has(name), false, name);
    assert.equal(plain.metadata.typeOf(name), undefined, name);
    assert.equal(plain.find(name), undefined, name);
    assert.throws(() => plain.tensor(name), { code: 'no_such_tensor' });
  }
  assert.equal(JSON.stringify([Object.prototype, Array.prototype, Function.prototype].map((one) => Reflect.ownKeys(one).map(String))), before);
});

test('dtypes that objects have are dtypes that nobody knows', async () => {
  using model = await open(bytesOf(PROPERTIES.map((name, i) => [`t${i}`, name])));
  for (const [i, name] of PROPERTIES.entries()) {
    const tensor = model.tensor(`t${i}`);
    assert.equal(tensor.dtype, name);
    assert.deepEqual(Array.from(tensor.bytes()), [i]);
    assert.equal(tensor.isAligned, true);
    assert.throws(() => tensor.typed(), { code: 'wrong_type' });
    await assert.rejects(async () => tensor.values(), { code: 'wrong_type' });
  }
});

test('messages of errors are safe to print, whatever names are in them', async (t) => {
  const weapon = `a\x1b[31m\r\n\x07\x7f\x9b\u00ad\u202e\u2066\u200b\u2028\ufeff\ud800\u{e0041}b`;
  const folder = temporaryFolder(t);
  const index = path.join(folder, 'model.safetensors.index.json');
  fs.writeFileSync(index, JSON.stringify({ weight_map: { a: weapon.replace('\ud800', '') } }));
  using model = await open(bytesOf([['w', 'U8'], [weapon.replace('\ud800', ''), 'strange']]));
  for (const act of [
    () => open(index), () => inspect(index), () => open(path.join(folder, weapon)), () => open(`http://${weapon}`),
    () => open(url(encodeURIComponent(weapon.replace('\ud800', '')))), () => model.tensor(weapon), () => model.tensors[1].values(),
    () => model.tensors[1].typed(),
  ]) {
    const { message, code } = await refusal(async () => act());
    assert.doesNotMatch(message, /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u, JSON.stringify(message));
    assert.ok(message.includes(`(${code}`), message);
  }
  const { message } = await refusal(() => open(index));
  assert.match(message, /file "a\\x1b\[31m\\x0d\\x0a\\x07\\x7f\\u\{009b\}.*\\u\{202e\}.*\\u\{e0041\}b" is missing/);
});

test('a shard that is a FIFO is not waited for', async (t) => {
  const folder = temporaryFolder(t);
  const shard = path.join(folder, 'one.safetensors');
  if (spawnSync('mkfifo', [shard]).status !== 0) return t.skip('there are no FIFOs here');
  const index = path.join(folder, 'model.safetensors.index.json');
  fs.writeFileSync(index, '{"weight_map":{"a":"one.safetensors"}}');
  for (const act of [open, inspect]) {
    const { code, file } = await refusal(() => act(index));
    assert.deepEqual([code, file], ['system_error', shard]);
  }
  return undefined;
});

test('the corpus is what its truths say, and its bad files are refused', async (t) => {
  if (!corpus) return t.skip('there is no corpus here');
  let good = 0;
  for (const file of fs.globSync ? fs.globSync('{gguf,safetensors}/**/*.{gguf,safetensors}', { cwd: corpus }) : fs.readdirSync(path.join(corpus, 'gguf')).map((name) => `gguf/${name}`)) {
    if (/-0000[2-9]-of-/.test(file)) continue;
    const full = path.join(corpus, file);
    using model = await open(full);
    assertSame(model, inspected(full));
    good += 1;
  }
  assert.ok(good > 5);
  let bad = 0;
  for (const format of ['gguf', 'safetensors']) {
    for (const name of fs.readdirSync(path.join(corpus, 'bad', format)).filter((one) => !one.endsWith('.tsv'))) {
      const file = path.join(corpus, 'bad', format, name);
      const program = path.join(packageFolder, 'dist/command/ballast.cjs');
      const { status, stderr } = spawnSync(process.execPath, [program, 'inspect', file], { encoding: 'utf8' });
      let message = '';
      try {
        (await open(file)).close();
      } catch (error) {
        assert.ok(error instanceof ballast.BallastError, error.stack);
        message = `ballast: ${error.message}\n`;
      }
      assert.equal(message, status === 0 ? '' : stderr, file);
      bad += 1;
    }
  }
  t.diagnostic(`${good} good, ${bad} bad`);
  return undefined;
});
