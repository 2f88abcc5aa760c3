// The package and a program of Emscripten's in browsers, under a strict policy: what loadInto puts into its
// heap is what C++ finds there. BALLAST_EMBEDDING is the folder of the program, tests/embedding.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ENGINES, launch, missing } from './browsers.mjs';
import { serve } from './server.mjs';
import { BALLAST_SAMPLES, inspected, packageFolder, read, sample } from './support.mjs';

const { BALLAST_EMBEDDING } = process.env;
const GGUF = 'tiny.gguf';
const FIRST = 'tiny-00001-of-00003.gguf';

function hashOf(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

const truths = new Map();
/** What the command says of a sample: asked once. */
const truthOf = (name) => truths.get(name) ?? truths.set(name, inspected(sample(name))).get(name);

/** What C++ should find: the name of each tensor, and a hash of its bytes. */
function hashesOf(name) {
  return truthOf(name).tensors.filter(({ nbytes }) => nbytes > 0).map(({ name: tensor, offset, nbytes, shard }) =>
    [tensor, hashOf(read(shard ?? name).subarray(offset, offset + nbytes))]);
}

/** In the page: loads a source of some kind into a program, and asks C++ for the bytes. */
async function loadInPage(origin, kind, name) {
  const { loadInto } = await import(`${origin}/dist/emscripten.js`);
  const { default: create } = await import(`${origin}/program/embedding.mjs`);
  const url = `${origin}/samples/${name}`;
  const blob = async (address) => (await fetch(address)).blob();
  const gzip = (body) => new Response(body.pipeThrough(new CompressionStream('gzip')));
  const make = {
    'relative URL': () => `/samples/${name}`,
    Response: () => fetch(url),
    Blob: () => blob(url),
    ReadableStream: async () => (await fetch(url)).body,
    'gzipped Blob': async () => gzip((await fetch(url)).body).blob(),
    'list of Blobs': () => Promise.all([1, 2, 3].map((number) => blob(url.replace('-00001-', `-0000${number}-`)))),
  };
  const module = await create();
  const model = await loadInto(module, await make[kind]());
  const found = model.tensors.filter(({ byteLength }) => byteLength > 0).map((tensor) => [
    tensor.name,
    module.ccall('hash_of', 'number', ['pointer', 'string'], [model.handle, tensor.name]) >>> 0,
    module.ccall('address_of', 'pointer', ['pointer', 'string'], [model.handle, tensor.name]) === tensor.bytes().byteOffset,
  ]);
  const handle = model.give();
  const [[first]] = found;
  const before = module._used();
  module.ccall('take', null, ['pointer'], [handle]);
  const isThere = module.ccall('hash_of', 'number', ['pointer', 'string'], [handle, first]) >>> 0;
  module.ccall('take', null, ['pointer'], [0]);
  return { found, isThere, freed: before - module._used() };
}

for (const engine of ENGINES) {
  const skip = (!BALLAST_EMBEDDING && 'the program was not built') || (await missing(engine)) || false;
  describe(engine, { skip }, () => {
    let server;
    let browser;
    let page;
    before(async () => {
      server = await serve({ dist: path.join(packageFolder, 'dist'), samples: BALLAST_SAMPLES, program: BALLAST_EMBEDDING });
      browser = await launch(engine);
      page = await browser.page(`${server.origin}/echo.html?csp=strict&coop=1`);
    });
    after(async () => {
      await browser?.close();
      await server?.close();
    });

    const SOURCES = [
      ...['relative URL', 'Response', 'Blob', 'ReadableStream', 'gzipped Blob'].map((kind) => [kind, GGUF]),
      ['relative URL', FIRST], ['list of Blobs', FIRST],
    ];
    for (const [kind, name] of SOURCES) {
      test(`${name} from a ${kind} is where C++ finds it, and goes when C++ lets go of it`, async () => {
        const truth = hashesOf(name);
        const { found, isThere, freed } = await page.run(loadInPage, server.origin, kind, name);
        assert.deepEqual(found, truth.map((one) => [...one, true]));
        assert.equal(isThere, truth[0][1]);
        assert.ok(freed > truth.length);
      });
    }

    test('an abort frees what had come', async () => {
      const told = await page.run(async (origin) => {
        const { loadInto } = await import(`${origin}/dist/emscripten.js`);
        const { default: create } = await import(`${origin}/program/embedding.mjs`);
        const module = await create();
        (await loadInto(module, `${origin}/samples/tiny.gguf`)).close();
        const before = module._used();
        const controller = new AbortController();
        const loaded = loadInto(module, `${origin}/samples/tiny.gguf?stall=20000`, { signal: controller.signal });
        setTimeout(() => controller.abort(new Error('enough')), 200);
        const reason = await loaded.then(() => 'loaded', (error) => error.message);
        return [reason, module._used() - before];
      }, server.origin);
      assert.deepEqual(told, ['enough', 0]);
    });

    // Programs with threads have a shared memory, and Emscripten can make resizable ones. Of neither do
    // browsers decode text in place.
    test('text is read from memory of every kind', async (t) => {
      const { plain, others } = await page.run(async (origin) => {
        const { loadInto } = await import(`${origin}/dist/emscripten.js`);
        const { default: create } = await import(`${origin}/program/embedding.mjs`);
        const module = await create();
        const model = await loadInto(module, `${origin}/samples/tiny.gguf`);
        const texts = () => [...model.metadata.keys(), ...model.shards.map(({ name }) => name)];
        const kinds = {};
        if (typeof SharedArrayBuffer !== 'undefined') kinds.shared = (size) => new SharedArrayBuffer(size);
        if ('resizable' in ArrayBuffer.prototype) kinds.resizable = (size) => new ArrayBuffer(size, { maxByteLength: 2 * size });
        const plain = texts();
        const others = {};
        for (const [kind, allocate] of Object.entries(kinds)) {
          // A copy of where the model lies, made for each look: what C++ writes is in it.
          const size = 1 << 20;
          const heap = new Uint8Array(allocate(size));
          const get = () => {
            heap.set(module.HEAPU8.subarray(0, size));
            return heap;
          };
          Object.defineProperty(module, 'ballastHeap', { configurable: true, get });
          others[kind] = texts();
        }
        return { plain, others };
      }, server.origin);
      t.diagnostic(Object.keys(others).join());
      assert.deepEqual(plain, [...Object.keys(truthOf(GGUF).metadata), GGUF]);
      assert.ok('shared' in others || engine === 'webkit');
      for (const [kind, texts] of Object.entries(others)) assert.deepEqual(texts, plain, kind);
    });

    test('nothing was refused by the policy', () => {
      assert.deepEqual(page.errors, []);
    });
  });
}
