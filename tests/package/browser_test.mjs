// The package in browsers, from its packed tarball, under a strict policy: every kind of source that a page
// has gives the model that the command sees. Engines that are not installed are skipped, and it says so.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import zlib from 'node:zlib';
import { ENGINES, launch, missing } from './browsers.mjs';
import { serve } from './server.mjs';
import { BALLAST_SAMPLES, inspected, packageFolder, read, sample } from './support.mjs';

const GGUF = 'tiny.gguf';
const SAFETENSORS = 'tiny.safetensors';
const FIRST = 'tiny-00001-of-00003.gguf';

/** FNV-1a of 32 bits: the same few lines here and in the page. */
function hashOf(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** What the page should say of a file. */
function truthOf(name) {
  const { format, metadata, tensors } = inspected(sample(name));
  const files = new Map();
  const bytes = (shard = name) => files.get(shard) ?? files.set(shard, read(shard)).get(shard);
  return {
    format,
    keys: Object.keys(metadata),
    tensors: tensors.map(({ name: tensor, dtype, shape, offset, nbytes, shard }) => ({
      name: tensor, dtype, shape, hash: nbytes === null ? null : hashOf(bytes(shard).subarray(offset, offset + nbytes)),
    })),
  };
}

/** In the page: opens a source of some kind, and tells what came of it. */
async function openInPage(origin, kind, name, query = '') {
  const { open } = await import(`${origin}/dist/web.js`);
  const url = `${origin}/samples/${name}${query}`;
  const blob = async () => (await fetch(url)).blob();
  const make = {
    'URL as text': () => url,
    'relative URL': () => `/samples/${name}${query}`,
    URL: () => new URL(url),
    Request: () => new Request(url),
    Response: () => fetch(url),
    Blob: blob,
    File: async () => new File([await blob()], name),
    ReadableStream: async () => (await fetch(url)).body,
    ArrayBuffer: async () => (await fetch(url)).arrayBuffer(),
    'typed array': async () => new Uint8Array(await (await fetch(url)).arrayBuffer()),
    'list of Blobs': async () => Promise.all([1, 2, 3].map(async (number) =>
      (await fetch(url.replace('-00001-', `-0000${number}-`))).blob())),
  };
  const steps = [];
  const model = await open(await make[kind](), { onProgress: (step) => steps.push(step) });
  const fnv = (bytes) => {
    let hash = 0x811c9dc5;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    return hash;
  };
  const told = {
    format: model.format,
    keys: [...model.metadata.keys()],
    tensors: model.tensors.map((tensor) => ({
      name: tensor.name, dtype: tensor.dtype, shape: [...tensor.shape],
      hash: tensor.byteLength === undefined ? null : fnv(tensor.bytes()),
    })),
  };
  model.close();
  return { told, last: steps.at(-1) };
}

const KINDS = ['URL as text', 'relative URL', 'URL', 'Request', 'Response', 'Blob', 'File', 'ReadableStream', 'ArrayBuffer', 'typed array'];

const skips = new Map();
for (const engine of ENGINES) skips.set(engine, (await missing(engine)) || false);

for (const engine of ENGINES) {
  describe(engine, { skip: skips.get(engine) }, () => {
    let server;
    let browser;
    let page;
    let folder;
    before(async () => {
      folder = fs.mkdtempSync(path.join(path.dirname(packageFolder), 'browser-'));
      fs.writeFileSync(path.join(folder, 'model.gz'), zlib.gzipSync(read(GGUF)));
      server = await serve({ dist: path.join(packageFolder, 'dist'), samples: BALLAST_SAMPLES, made: folder });
      browser = await launch(engine);
      page = await browser.page(`${server.origin}/echo.html?csp=strict`);
    });
    after(async () => {
      await browser?.close();
      await server?.close();
      fs.rmSync(folder, { recursive: true, force: true });
    });

    for (const kind of KINDS) {
      test(`a model from a ${kind} is what the command says of the file`, async () => {
        for (const name of [GGUF, SAFETENSORS]) {
          const { told, last } = await page.run(openInPage, server.origin, kind, name);
          assert.deepEqual(told, truthOf(name));
          assert.equal(last.loaded, read(name).length);
        }
      });
    }

    test('a first shard and a list of files give the set', async () => {
      for (const kind of ['URL as text', 'Request', 'list of Blobs']) {
        const { told } = await page.run(openInPage, server.origin, kind, FIRST);
        assert.deepEqual(told, truthOf(FIRST), kind);
      }
    });

    test('what servers do does not matter', async () => {
      for (const query of ['?length=none', '?encoding=gzip', '?range=ignore', '?redirect=1']) {
        const { told } = await page.run(openInPage, server.origin, 'URL as text', GGUF, query);
        assert.deepEqual(told, truthOf(GGUF), query);
      }
    });

    test('a compressed model is decoded', async () => {
      const names = await page.run(async (origin) => {
        const { open } = await import(`${origin}/dist/web.js`);
        const model = await open(`${origin}/made/model.gz`);
        return [model.shards[0].compression, ...model.tensors.map(({ name }) => name)];
      }, server.origin);
      assert.deepEqual(names, ['gzip', ...truthOf(GGUF).tensors.map(({ name }) => name)]);
    });

    test('the directory is read by ranges, and single tensors after it', async () => {
      const found = await page.run(async (origin) => {
        const { inspect } = await import(`${origin}/dist/web.js`);
        const head = await inspect(`${origin}/samples/tiny.safetensors`);
        const { name } = head.tensors.find(({ byteLength }) => byteLength > 0);
        const bytes = await head.tensor(name).read();
        const model = await head.load({ tensors: [name] });
        return { name, bytes: [...bytes], loaded: [...model.tensor(name).bytes()], fileBytes: head.fileBytes };
      }, server.origin);
      const { offset, nbytes } = inspected(sample(SAFETENSORS)).tensors.find(({ name }) => name === found.name);
      assert.deepEqual(found.bytes, [...read(SAFETENSORS).subarray(offset, offset + nbytes)]);
      assert.deepEqual(found.loaded, found.bytes);
      assert.equal(found.fileBytes, read(SAFETENSORS).length);
    });

    test('an abort rejects with its reason, at once', async () => {
      const told = await page.run(async (origin) => {
        const { open } = await import(`${origin}/dist/web.js`);
        const controller = new AbortController();
        setTimeout(() => controller.abort(new Error('enough')), 100);
        const begin = performance.now();
        try {
          await open(`${origin}/samples/tiny.gguf?stall=100`, { signal: controller.signal });
          return 'nothing';
        } catch (error) {
          return performance.now() - begin < 5000 ? error.message : 'late';
        }
      }, server.origin);
      assert.equal(told, 'enough');
    });

    test('errors have their codes', async () => {
      const codes = await page.run(async (origin) => {
        const { open, inspect } = await import(`${origin}/dist/web.js`);
        const codeOf = async (work) => {
          try {
            await work();
            return 'none';
          } catch (error) {
            return error.code;
          }
        };
        return Promise.all([
          codeOf(() => open(`${origin}/samples/tiny.gguf?html=1`)),
          codeOf(() => open(`${origin}/samples/none`)),
          codeOf(() => inspect(`${origin}/samples/tiny.gguf?status=500`)),
          codeOf(() => open(new Uint8Array())),
          codeOf(() => open(42)),
        ]);
      }, server.origin);
      assert.deepEqual(codes, ['html_page', 'http_status', 'http_status', 'empty_file', 'unsupported_source']);
    });

    test('the model may have 64 bits where the engine has', async (t) => {
      const told = await page.run(async (origin) => {
        const { open, hasWasm64 } = await import(`${origin}/dist/web.js`);
        if (!hasWasm64()) return null;
        const model = await open(`${origin}/samples/tiny.gguf`, { bits: 64 });
        return [model.bits, model.tensors.length];
      }, server.origin);
      if (told === null) return t.diagnostic('no 64-bit memory');
      assert.deepEqual(told, [64, truthOf(GGUF).tensors.length]);
      return undefined;
    });

    test('nothing was refused by the policy', () => {
      assert.deepEqual(page.errors, []);
    });
  });
}
