// The package in browsers, from its packed tarball, under a strict policy: every kind of source that a page
// has gives the model that the command sees. Engines that are not installed are skipped, and it says so.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { ENGINES, launch, missing } from './browsers.mjs';
import { hashOf, refusalOf } from './page.mjs';
import { serve } from './server.mjs';
import { BALLAST_SAMPLES, corpus, inspected, packageFolder, read, sample } from './support.mjs';
import { gguf, q8 } from './values_models.mjs';

const GGUF = 'tiny.gguf';
const SAFETENSORS = 'tiny.safetensors';
const FIRST = 'tiny-00001-of-00003.gguf';
const INDEX = 'tiny.safetensors.index.json';

/** What the command says of a file, asked once. */
const truths = new Map();
function truthOf(name) {
  if (!truths.has(name)) truths.set(name, inspected(sample(name)));
  return truths.get(name);
}

/** What the page should say of a model, and of its directory. */
function toldOf(name) {
  const { format, metadata, tensors } = truthOf(name);
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

function listedOf(name) {
  const { tensors, ...rest } = toldOf(name);
  return { ...rest, tensors: tensors.map(({ hash, ...tensor }) => tensor) };
}

/** Rows of Q8_0, more than a piece of the module that reads them, and what they stand for. */
const ROWS = q8(Array.from({ length: 4096 }, (_, i) => (i * 977) % 0x7c00), (i) => ((i * 37) % 255) - 127);

/** In the page: values of a model in memory, of a directory and of a file in one piece, and what they are like. */
async function valuesInPage(origin) {
  const { hashOf } = await import(`${origin}/tests/page.mjs`);
  const hash = ({ buffer }) => hashOf(new Uint8Array(buffer));
  const found = [];
  for (const entry of ['web.js', 'inline.js']) {
    const { open, inspect } = await import(`${origin}/dist/${entry}`);
    for (const tensor of [(await open('/made/rows.gguf')).tensor('t'), (await inspect('/made/rows.gguf')).tensor('t')]) {
      const { count, max, histogram } = await tensor.stats();
      const half = await tensor.values({ rows: [3, 5], as: 'f16' });
      found.push({
        all: hash(await tensor.values()), rows: hash(await tensor.values({ rows: [100, 103] })), count, max,
        binned: histogram.counts.reduce((sum, n) => sum + n),
        half: half.constructor === (globalThis.Float16Array ?? Uint16Array) && half.length === 512,
      });
    }
  }
  return found;
}

/** In the page: opens a source of some kind, and tells what came of it. */
async function openInPage(origin, kind, name, query = '') {
  const { open, inspect } = await import(`${origin}/dist/web.js`);
  const { tell } = await import(`${origin}/tests/page.mjs`);
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
  const told = tell(model);
  model.close();
  const head = await inspect(await make[kind]());
  const listed = tell(head);
  head.close();
  return { told, listed, last: steps.at(-1) };
}

/** Files that are no models, and models that were damaged. */
function badFiles() {
  const gguf = read(GGUF);
  const safetensors = read(SAFETENSORS);
  const gzip = zlib.gzipSync(gguf);
  const changed = (bytes, at, ...values) => Buffer.concat([bytes.subarray(0, at), Buffer.from(values), bytes.subarray(at + values.length)]);
  return {
    empty: Buffer.alloc(0),
    page: Buffer.from('<!doctype html>\n<title>404</title>'),
    json: Buffer.from('{"error": "no such model"}'),
    lfs: Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'),
    zip: Buffer.from('PK\x03\x04' + '\0'.repeat(60), 'latin1'),
    noise: Buffer.alloc(5000, 0xa5),
    'half.gguf': gguf.subarray(0, gguf.length >> 1),
    'head.gguf': gguf.subarray(0, 100),
    'version.gguf': changed(gguf, 4, 99),
    'counts.gguf': changed(gguf, 8, 255, 255, 255, 255, 255, 255, 255, 127),
    'half.safetensors': safetensors.subarray(0, safetensors.length >> 1),
    'more.safetensors': Buffer.concat([safetensors, Buffer.alloc(3)]),
    'long.safetensors': changed(safetensors, 0, 255, 255, 255, 255, 255, 255, 255, 127),
    'json.safetensors': changed(safetensors, 9, 0x21),
    'half.gguf.gz': gzip.subarray(0, gzip.length >> 1),
    'sum.gguf.gz': changed(gzip, gzip.length - 8, gzip[gzip.length - 8] ^ 1),
    'more.gguf.gz': Buffer.concat([gzip, Buffer.from('more')]),
  };
}

/** Folders of bad files, by what the server calls them, and the names in them. */
function badNames(folders) {
  const most = 1 << 20;
  return Object.entries(folders).flatMap(([root, folder]) =>
    fs.readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.tsv'))
      .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
      .filter((file) => fs.statSync(file).size <= most)
      .map((file) => ({ file, url: `/${root}/${path.relative(folder, file)}` })));
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
      // Not called what it is, as by servers that do not know the type.
      fs.copyFileSync(path.join(packageFolder, 'dist/ballast.wasm'), path.join(folder, 'module'));
      fs.writeFileSync(path.join(folder, 'rows.gguf'), gguf(8, [256, 512], ROWS.data));
      fs.mkdirSync(path.join(folder, 'bad'));
      for (const [name, bytes] of Object.entries(badFiles())) fs.writeFileSync(path.join(folder, 'bad', name), bytes);
      server = await serve({
        dist: path.join(packageFolder, 'dist'), samples: BALLAST_SAMPLES, tests: import.meta.dirname, made: folder,
        ...(corpus && { corpus }),
      });
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
          const { told, listed, last } = await page.run(openInPage, server.origin, kind, name);
          assert.deepEqual(told, toldOf(name));
          assert.deepEqual(listed, listedOf(name));
          assert.equal(last.loaded, read(name).length);
        }
      });
    }

    test('a first shard, an index and a list of files give the set', async () => {
      for (const [kind, name] of [['URL as text', FIRST], ['Request', FIRST], ['list of Blobs', FIRST], ['URL', INDEX], ['Request', INDEX]]) {
        const { told, listed } = await page.run(openInPage, server.origin, kind, name);
        assert.deepEqual(told, toldOf(name), kind);
        assert.deepEqual(listed, listedOf(name), kind);
      }
    });

    test('what servers do does not matter', async () => {
      // Of a range, all may come, or an encoded part; it may be elsewhere.
      for (const query of ['?length=none', '?encoding=gzip', '?encoding=gzip&range=ignore', '?range=ignore', '?range=wrong', '?redirect=1']) {
        const { told, listed } = await page.run(openInPage, server.origin, 'URL as text', GGUF, query);
        assert.deepEqual(told, toldOf(GGUF), query);
        assert.deepEqual(listed, listedOf(GGUF), query);
      }
    });

    test('files that were picked are opened, alone and as a set', async () => {
      await page.run(() => {
        const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true });
        document.documentElement.append(input);
      });
      const openPicked = async (origin) => {
        const { open, inspect } = await import(`${origin}/dist/web.js`);
        const { tell } = await import(`${origin}/tests/page.mjs`);
        const { files } = document.querySelector('input');
        const source = files.length === 1 ? files[0] : files;
        const model = await open(source);
        const head = await inspect(source);
        return { told: tell(model), listed: tell(head), names: model.shards.map(({ name }) => name) };
      };
      const shards = [1, 2, 3].map((number) => `tiny-0000${number}-of-00003.gguf`);
      const indexed = [1, 2].map((number) => `tiny-0000${number}-of-00002.safetensors`);
      for (const [name, names, more = []] of [[GGUF, [GGUF]], [SAFETENSORS, [SAFETENSORS]], [FIRST, shards], [INDEX, indexed, [INDEX]]]) {
        await page.setFiles('input', [...names, ...more].map(sample));
        const picked = await page.run(openPicked, server.origin);
        assert.deepEqual(picked.told, toldOf(name));
        assert.deepEqual(picked.listed, listedOf(name));
        assert.deepEqual(picked.names, names);
      }
    });

    test('handles of files are opened', async (t) => {
      const found = await page.run(async (origin, name) => {
        const { open, inspect } = await import(`${origin}/dist/web.js`);
        const { ownFiles, refusalOf, tell } = await import(`${origin}/tests/page.mjs`);
        const folder = await ownFiles();
        const store = async (called, blob) => {
          // Where the engine gives no handle, something that does the same is one.
          if (!folder) return { kind: 'file', name: called, getFile: async () => new File([blob], called) };
          const handle = await folder.getFileHandle(called, { create: true });
          const writable = await handle.createWritable();
          await writable.write(blob);
          await writable.close();
          return handle;
        };
        const handle = await store(name, await (await fetch(`/samples/${name}`)).blob());
        const model = await open(handle);
        const told = tell(model);
        const [{ name: shard }] = model.shards;
        model.close();
        const head = await inspect(handle);
        const refused = await refusalOf(async () => open(await store('noise', new Blob(['neither nor']))));
        const result = { own: folder !== null, told, listed: tell(head), shard, refused };
        if (!folder) return result;
        const codeOf = async (work) => (await refusalOf(work))?.code;
        const before = await handle.getFile();
        await store(name, new Blob(['changed']));
        const late = [() => open(before), () => inspect(before), () => head.tensors.at(-1).read()];
        result.changed = await Promise.all(late.map(codeOf));
        for (const one of [name, 'noise']) await folder.removeEntry(one);
        return { ...result, gone: await codeOf(() => open(handle)) };
      }, server.origin, GGUF);
      assert.deepEqual(found.told, toldOf(GGUF));
      assert.deepEqual(found.listed, listedOf(GGUF));
      assert.equal(found.shard, GGUF);
      assert.equal(found.refused.code, 'unknown_format');
      assert.match(found.refused.message, /^noise: /);
      if (!found.own) return t.diagnostic(`${engine} has no files of the origin: handles that are like its own were opened`);
      assert.deepEqual(found.changed, Array(3).fill('file_changed'));
      return assert.equal(found.gone, 'no_such_file_or_directory');
    });

    test('a worker loads as a page does', async () => {
      const { value, violations } = await page.run(async (origin, url) => {
        const { inWorker } = await import(`${origin}/tests/page.mjs`);
        return inWorker(origin, 'url', url);
      }, server.origin, `${server.origin}/samples/${GGUF}`);
      assert.deepEqual(value, toldOf(GGUF));
      assert.deepEqual(violations, []);
    });

    test('a worker reads handles straight into the heap, and leaves them open', async (t) => {
      const { value, violations } = await page.run(async (origin, url) => {
        const { inWorker } = await import(`${origin}/tests/page.mjs`);
        return inWorker(origin, 'handles', url);
      }, server.origin, `${server.origin}/samples/${GGUF}`);
      assert.deepEqual(violations, []);
      const truth = toldOf(GGUF);
      assert.deepEqual(value.told, truth);
      assert.deepEqual(value.listed, listedOf(GGUF));
      assert.equal(value.hash, truth.tensors.find(({ name }) => name === value.name).hash);
      assert.equal(value.size, read(GGUF).length);
      const large = value.byteLength;
      assert.equal(value.loads.at(-1), value.total);
      assert.ok(value.total > large);
      assert.deepEqual(value.loads, value.loads.toSorted((a, b) => a - b));
      // It ends in the midst: a load by calls that answer at once lets the signal have its turn.
      assert.equal(value.last, 'enough');
      assert.ok(value.aborted > 0 && value.aborted < value.total, `${value.aborted}`);
      if (!value.own) t.diagnostic(`${engine} has no files of the origin: handles that are like its own were read`);
    });

    test('the module may come from elsewhere', async () => {
      const found = await page.run(async (origin, name) => {
        const { open } = await import(`${origin}/dist/web.js`);
        const { refusalOf: refusal, tell } = await import(`${origin}/tests/page.mjs`);
        const wasmBinary = await (await fetch('/dist/ballast.wasm')).arrayBuffer();
        const ways = [
          { wasmUrl: '/dist/ballast.wasm' },
          { wasmUrl: new URL('/made/module', origin) },
          { wasmBinary },
          { wasmBinary: new Uint8Array(wasmBinary) },
          { wasmModule: await WebAssembly.compile(wasmBinary) },
        ];
        const told = [];
        for (const way of ways) told.push(tell(await open(`/samples/${name}`, way)));
        const none = ['/dist/none.wasm', '/dist/ballast.wasm?html=1', '/dist/ballast.wasm?cut=1000', `/samples/${name}`];
        const refused = [];
        for (const wasmUrl of none) refused.push((await refusal(() => open(`/samples/${name}`, { wasmUrl })))?.code);
        return { told, refused };
      }, server.origin, GGUF);
      assert.deepEqual(found.told, Array(5).fill(toldOf(GGUF)));
      assert.deepEqual(found.refused, Array(4).fill('no_module'));
    });

    test('a connection that breaks off is an error', async (t) => {
      const half = read(GGUF).length >> 1;
      const refused = await page.run(async (origin, url) => {
        const { open, inspect } = await import(`${origin}/dist/web.js`);
        const { refusalOf: refusal } = await import(`${origin}/tests/page.mjs`);
        const ways = [open, inspect, async (address) => open(await fetch(address))];
        return Promise.all(ways.flatMap((load) => ['', '&length=none'].map((how) => refusal(() => load(url + how)))));
      }, server.origin, `/samples/${GGUF}?cut=${half}`);
      const [open, openWithout, inspect, inspectWithout, response, responseWithout] = refused.map((error) => error?.code);
      assert.deepEqual([open, inspect, response], ['network', 'network', 'network']);
      if (engine === 'webkit') {
        t.diagnostic('webkit takes a cut answer without Content-Length for a whole one: what is missing tells');
        assert.deepEqual([openWithout, inspectWithout, responseWithout], ['bad_range', 'bad_range', 'outside_file']);
        assert.equal(refused[5].offset > 0, true);
      } else {
        assert.deepEqual([openWithout, inspectWithout, responseWithout], ['network', 'network', 'network']);
      }
    });

    test('a model of many pieces is put together as it was', async () => {
      const size = (9 << 20) + 12345;
      const header = Buffer.from(JSON.stringify({ w: { dtype: 'U8', shape: [size], data_offsets: [0, size] } }));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(header.length));
      const weights = Buffer.alloc(size);
      for (let i = 0, state = 1; i < size; ++i) weights[i] = (state = Math.imul(state, 1664525) + 1013904223) >>> 24;
      fs.writeFileSync(path.join(folder, 'large.safetensors'), Buffer.concat([length, header, weights]));
      const hashes = await page.run(async (origin) => {
        const { open } = await import(`${origin}/dist/web.js`);
        const { hashOf: hash } = await import(`${origin}/tests/page.mjs`);
        const url = `${origin}/made/large.safetensors`;
        const found = [];
        for (const source of [url, `${url}?range=ignore`, await (await fetch(url)).blob()]) {
          const model = await open(source);
          found.push(hash(model.tensor('w').bytes()));
          model.close();
        }
        return found;
      }, server.origin);
      const hash = hashOf(weights);
      assert.deepEqual(hashes, [hash, hash, hash]);
    });

    test('bad files are refused as the command refuses them', async (t) => {
      const { open } = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);
      const bad = badNames({ 'made/bad': path.join(folder, 'bad'), ...(corpus && { 'corpus/bad': path.join(corpus, 'bad') }) });
      const found = await page.run(async (origin, urls) => {
        const { open: load } = await import(`${origin}/dist/web.js`);
        const { refusalOf: refusal } = await import(`${origin}/tests/page.mjs`);
        const results = [];
        const rest = urls.entries();
        const some = async () => {
          for (const [i, url] of rest) results[i] = await refusal(async () => (await load(url)).close());
        };
        await Promise.all(Array.from({ length: 8 }, some));
        return results;
      }, server.origin, bad.map(({ url }) => url));
      for (const [i, { file, url }] of bad.entries()) {
        // That Node says what the command says is node_test.mjs's to hold.
        const truth = await refusalOf(async () => (await open(file)).close());
        const told = found[i] && { ...found[i], message: found[i].message.replaceAll(server.origin + url, file) };
        assert.deepEqual(told, truth && JSON.parse(JSON.stringify(truth)), url);
      }
      const refused = found.filter((error) => error);
      assert.ok(refused.length >= Object.keys(badFiles()).length);
      for (const { code, message } of refused) assert.ok(message.includes(`(${code}`), message);
      t.diagnostic(`${bad.length} files, ${refused.length} refused`);
    });

    test('a load that failed or was ended is nothing to the next', async () => {
      const found = await page.run(async (origin, name) => {
        const { open } = await import(`${origin}/dist/web.js`);
        const { refusalOf, tell } = await import(`${origin}/tests/page.mjs`);
        const url = `/samples/${name}`;
        const ended = AbortSignal.timeout(100);
        const failures = [
          () => open(`${url}?status=500`),
          () => open(`${url}?html=1`),
          () => open('/made/bad/half.gguf'),
          () => open(`${url}?stall=1000`, { signal: ended }),
          () => open(url, { maxBytes: 1000 }),
          () => open(url, { onProgress: () => { throw new RangeError('of the caller'); } }),
        ];
        const results = [];
        for (const failure of failures) {
          const refused = await refusalOf(failure);
          const model = await open(url);
          results.push({ refused: refused?.code ?? refused?.name, told: tell(model) });
          model.close();
        }
        return results;
      }, server.origin, GGUF);
      assert.deepEqual(found.map(({ refused }) => refused), ['http_status', 'html_page', 'outside_file', 23, 'too_large', 'RangeError']);
      for (const { told } of found) assert.deepEqual(told, toldOf(GGUF));
    });

    test('a closed model gives nothing more', async () => {
      const codes = await page.run(async (origin, name) => {
        const { open, inspect } = await import(`${origin}/dist/web.js`);
        const { refusalOf } = await import(`${origin}/tests/page.mjs`);
        const model = await open(`/samples/${name}`);
        const head = await inspect(`/samples/${name}`);
        const [tensor] = model.tensors;
        const [listed] = head.tensors;
        const { used, peak } = model.memory();
        const copy = tensor.copy();
        for (const one of [model, model, head, head]) one.close();
        const uses = [
          () => model.memory(), () => tensor.bytes(), () => model.tensors, () => model.metadata.get('a'),
          () => head.memory(), () => listed.read(), () => head.load(), () => head.load({ tensors: [] }),
        ];
        return {
          codes: await Promise.all(uses.map(async (use) => (await refusalOf(use))?.code)),
          isClosed: model.isClosed && head.isClosed, hasMemory: 0 < used && used <= peak, kept: copy.length === tensor.byteLength,
        };
      }, server.origin, GGUF);
      assert.deepEqual(codes, { codes: Array(8).fill('closed'), isClosed: true, hasMemory: true, kept: true });
    });

    test('a compressed model is decoded', async () => {
      const names = await page.run(async (origin) => {
        const { open } = await import(`${origin}/dist/web.js`);
        const model = await open(`${origin}/made/model.gz`);
        return [model.shards[0].compression, ...model.tensors.map(({ name }) => name)];
      }, server.origin);
      assert.deepEqual(names, ['gzip', ...toldOf(GGUF).tensors.map(({ name }) => name)]);
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
        const { open, inspect, hasWasm64 } = await import(`${origin}/dist/web.js`);
        const { refusalOf, tell } = await import(`${origin}/tests/page.mjs`);
        const wide = (load) => load(`${origin}/samples/tiny.gguf`, { bits: 64 });
        if (!hasWasm64()) return [(await refusalOf(() => wide(open))).code, (await refusalOf(() => wide(inspect))).code];
        const model = await wide(open);
        const head = await wide(inspect);
        return [model.bits, tell(model), head.bits, tell(head)];
      }, server.origin);
      if (told.length === 4) return assert.deepEqual(told, [64, toldOf(GGUF), 64, listedOf(GGUF)]);
      t.diagnostic(`${engine} has no 64-bit memory`);
      return assert.deepEqual(told, ['no_wasm64', 'no_wasm64']);
    });

    test('the entry of one file fetches no module, and has none of 64 bits', async () => {
      const seen = server.log.length;
      const found = await page.run(async (origin, name) => {
        const { open, inspect } = await import(`${origin}/dist/inline.js`);
        const { refusalOf, tell } = await import(`${origin}/tests/page.mjs`);
        const model = await open(`/samples/${name}`);
        const zipped = await open('/made/model.gz');
        const head = await inspect(`/samples/${name}`);
        const { code } = await refusalOf(() => open(`/samples/${name}`, { bits: 64 }));
        return { told: tell(model), zipped: tell(zipped), listed: tell(head), code };
      }, server.origin, GGUF);
      assert.deepEqual(found, { told: toldOf(GGUF), zipped: toldOf(GGUF), listed: listedOf(GGUF), code: 'no_wasm64' });
      assert.deepEqual(server.log.slice(seen).filter(({ path: asked }) => asked.endsWith('.wasm')), []);
    });

    test('values are what the blocks stand for, and what reads them is fetched once', async () => {
      const seen = server.log.length;
      const found = await page.run(valuesInPage, server.origin);
      const hash = (values) => hashOf(new Uint8Array(values.slice().buffer));
      const told = {
        all: hash(ROWS.values), rows: hash(ROWS.values.subarray(100 * 256, 103 * 256)), count: ROWS.values.length,
        max: ROWS.values.reduce((most, value) => Math.max(most, value)), binned: ROWS.values.length, half: true,
      };
      assert.deepEqual(found, [told, told, told, told]);
      const fetched = server.log.slice(seen).map(({ path: asked }) => asked).filter((asked) => asked.includes('values'));
      assert.deepEqual(fetched.sort(), ['/dist/ballast-values.wasm', '/dist/values.js']);
    });

    test('nothing was refused by the policy', () => {
      assert.deepEqual(page.errors, []);
    });
  });
}
