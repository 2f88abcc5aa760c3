// The demo page, as it is built, in every engine that there is: each source, each view, cancel, the gallery, the
// keyboard, accessibility, and that its own policy holds. Pictures of it are left beside it, in screenshots/.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { ENGINES, launch, missing } from './browsers.mjs';
import { serve } from './server.mjs';
import { BALLAST_INSTALLED, BALLAST_SAMPLES, BALLAST_SOURCE, inspected, packageFolder, sample } from './support.mjs';

const { BALLAST_DEMO } = process.env;
const HERE = path.join(BALLAST_SOURCE, 'tests/package');
const AXE = path.dirname(fs.realpathSync(path.join(BALLAST_SOURCE, 'web/node_modules/axe-core/axe.min.js')));
const SHOTS = path.join(BALLAST_DEMO, '../screenshots');

/** What the gallery shows: of the broken files, the class and the code of the error. */
const BROKEN = {
  'truncated.gguf': ['FormatError', 'outside_file'],
  'overlapping.safetensors': ['FormatError', 'overlap'],
  'page.gguf': ['FormatError', 'html_page'],
  'pointer.safetensors': ['FormatError', 'git_lfs_pointer'],
  'checksum.gguf.gz': ['CompressionError', 'bad_checksum'],
  'half.gguf.zst': ['CompressionError', 'truncated_stream'],
  'bomb.gguf.zst': ['LimitError', 'ratio_too_high'],
  'count.gguf': ['LimitError', 'too_many_tensors'],
  'twice.gguf': ['FormatError', 'duplicate_tensor'],
};

/** Bytes of a model that takes a while where the server is slow, and is worth a chart where it is not. */
const LARGE = 24 << 20;

function largeModel() {
  const rows = LARGE / 4096;
  const tensor = (first, end) => ({ dtype: 'F32', shape: [end - first, 1024], data_offsets: [4096 * first, 4096 * end] });
  const header = JSON.stringify({ noise: tensor(0, 5000), 'some more': tensor(5000, 5500), rest: tensor(5500, rows) });
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(header.length));
  const data = new Float32Array(LARGE / 4);
  for (let i = 0, seed = 1; i < data.length; ++i) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    data[i] = seed / 2 ** 32 - 0.5;
  }
  return Buffer.concat([head, Buffer.from(header), Buffer.from(data.buffer)]);
}

/** What a page must not do: each is a name, a key and a value. It says so in `globalThis.owned` where it is done. */
const WEAPONS = [
  '<script>globalThis.owned=1</script>', '<img src=x onerror=globalThis.owned=1>', '<svg onload=globalThis.owned=1>',
  '"><iframe srcdoc="<script>parent.owned=1</script>">', 'javascript:globalThis.owned=1', 'https://ballast.invalid/tracked',
  '<a href="javascript:globalThis.owned=1">x</a>', '<link rel=stylesheet href=/owned.css>', '<style>@import "/owned.css"</style>',
  '<form action=/owned><button>x</button></form>', '<base href=//ballast.invalid/>', '<meta http-equiv=refresh content=0;url=/owned>',
  '\u202egnp.exe', '\u2066x\u2069', '\u200b', '\ufeff', '\x1b]8;;https://ballast.invalid\x07', '\x00', '\x7f\x9b', '__proto__', 'constructor', 'toString',
];
const KEYS = ['general.url', 'general.source.url', 'general.repo_url', 'general.name', 'tokenizer.chat_template', ...WEAPONS];

function hostileModel() {
  const text = JSON.stringify;
  const metadata = KEYS.map((key, i) => `${text(key)}:${text(WEAPONS[i % WEAPONS.length])}`).join();
  const tensors = WEAPONS.map((name, i) => `${text(name)}:{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`).join();
  const header = Buffer.from(`{"__metadata__":{${metadata}},${tensors},"dtype":{"dtype":${text(WEAPONS[0])},"shape":[0],"data_offsets":[0,0]}}`);
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([head, header, Buffer.alloc(WEAPONS.length)]);
}

const filesIn = (folder) => fs.readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));

/** As the page prints a float of 32 bits. */
function printed(value) {
  if (!Number.isFinite(value) || Number.isInteger(value)) return Object.is(value, -0) ? '-0' : String(value);
  for (let digits = 1; digits < 9; ++digits) {
    if (Math.fround(Number(value.toPrecision(digits))) === value) return String(Number(value.toPrecision(digits)));
  }
  return String(value);
}

// Before the first test is named: whatever waits in between would end the run.
const skips = new Map();
for (const engine of ENGINES) skips.set(engine, (await missing(engine)) || false);

const work = fs.mkdtempSync(path.join(BALLAST_INSTALLED, 'demo-'));
let server;
before(async () => {
  fs.writeFileSync(path.join(work, 'large.safetensors'), largeModel());
  fs.writeFileSync(path.join(work, 'large.safetensors.gz'), zlib.gzipSync(fs.readFileSync(path.join(work, 'large.safetensors')), { level: 1 }));
  fs.writeFileSync(path.join(work, 'hostile.safetensors'), hostileModel());
  // Mostly a hole: its last row begins with 1, 2, 3.
  const [rows, columns] = [200_000, 100_000];
  const header = JSON.stringify({ huge: { dtype: 'U8', shape: [rows, columns], data_offsets: [0, rows * columns] } });
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(header.length));
  const huge = fs.openSync(path.join(work, 'huge.safetensors'), 'w');
  fs.writeSync(huge, Buffer.concat([head, Buffer.from(header)]), 0, 8 + header.length, 0);
  fs.writeSync(huge, Buffer.of(1, 2, 3), 0, 3, 8 + header.length + (rows - 1) * columns);
  fs.ftruncateSync(huge, 8 + header.length + rows * columns);
  fs.closeSync(huge);
  // The page under a path of another depth, as any host may have it.
  fs.mkdirSync(path.join(work, 'some/where'), { recursive: true });
  fs.cpSync(BALLAST_DEMO, path.join(work, 'some/where/else'), { recursive: true });
  fs.mkdirSync(SHOTS, { recursive: true });
  server = await serve({ demo: BALLAST_DEMO, samples: BALLAST_SAMPLES, made: work, tests: HERE, axe: AXE }, { idleSeconds: 600 });
});
after(async () => {
  await server.close();
  fs.rmSync(work, { recursive: true });
});

describe('the demo as it is built', () => {
  const sizes = () => filesIn(BALLAST_DEMO)
    .filter((file) => !/\/(samples|broken)\//.test(file))
    .map((file) => ({ name: path.basename(file), size: zlib.gzipSync(fs.readFileSync(file), { level: 9 }).length }));
  const sum = (some) => some.reduce((bytes, { size }) => bytes + size, 0);

  test('a visit downloads at most 250 kB', () => {
    // One of the modules that load is needed for a model: the usual one, or one of the others where it asks for that.
    const isOther = ({ name }) => /^ballast-(all|64)/.test(name);
    const usual = sum(sizes().filter((file) => !isOther(file)));
    console.log(`the demo: ${usual} bytes gzipped; ${sizes().map(({ name, size }) => `${name} ${size}`).join(', ')}`);
    assert.ok(usual <= 250_000, String(usual));
    assert.equal(sizes().filter(isOther).length, 2);
  });

  test('its policy lets nothing in but its own scripts and styles, and no text become either', () => {
    const page = fs.readFileSync(path.join(BALLAST_DEMO, 'index.html'), 'utf8');
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(page);
    assert.ok(page.indexOf(policy) < page.indexOf('<script'), 'what comes before a policy is not under it');
    const rules = Object.fromEntries(policy.split('; ').map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1)]));
    assert.deepEqual(rules['default-src'], ["'none'"]);
    assert.deepEqual(rules['script-src'], ["'self'", "'wasm-unsafe-eval'"]);
    for (const name of ['style-src', 'img-src', 'worker-src']) assert.deepEqual(rules[name], ["'self'"], name);
    for (const name of ['base-uri', 'form-action']) assert.deepEqual(rules[name], ["'none'"], name);
    for (const name of ['object-src', 'frame-src', 'script-src-elem', 'script-src-attr']) assert.equal(rules[name], undefined, name);
    assert.ok(rules['connect-src'].includes('https:'), 'models are anywhere');
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|data:|blob:|\*(?!;|$| |:)/);
  });

  test('all of it is its own: no address of another host, no script in the page', () => {
    for (const file of filesIn(BALLAST_DEMO).filter((name) => /\.(html|css|js)$/.test(name))) {
      const text = fs.readFileSync(file, 'utf8');
      assert.doesNotMatch(text, /@import|@font-face|<script(?![^>]* src=)|\son\w+="|style="/, file);
      const hosts = [...text.matchAll(/https?:\/\/([\w.-]+\w)/g)].map(([, host]) => host);
      const known = ['www.w3.org', 'huggingface.co', 'localhost', '127.0.0.1', 'ballast.invalid'];
      assert.deepEqual(hosts.filter((host) => !known.includes(host)), [], file);
    }
  });
});

describe('the server of the demo', () => {
  /** Asks for a path as it is written, dots and all. */
  const ask = (url, target, headers = {}) => new Promise((resolve, reject) => {
    http.get({ ...new URL(url), hostname: '127.0.0.1', port: new URL(url).port, path: target, headers, agent: false }, (response) => {
      response.toArray().then((pieces) => resolve({ status: response.statusCode, text: Buffer.concat(pieces).toString() }), reject);
    }).on('error', reject);
  });

  test('is on loopback alone, has its folder alone, and ends when it is left alone', async () => {
    const env = { ...process.env, BALLAST_IDLE_SECONDS: '4' };
    const child = spawn(process.execPath, [path.join(BALLAST_SOURCE, 'web/demo/serve.mjs'), BALLAST_DEMO], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { said += text; });
    while (!said.includes('\n')) await once(child.stdout, 'data');
    const [, url] = /^The demo is at (http:\/\/127\.0\.0\.1:\d+\/) /.exec(said);
    const page = await ask(url, '/');
    assert.equal(page.status, 200);
    assert.match(page.text, /<div id="app">/);
    const script = /src="\.(\/assets\/[^"]+\.js)"/.exec(page.text)[1];
    assert.equal((await ask(url, script)).status, 200);
    // What is not there may be answered by the page, but by no file from elsewhere.
    for (const target of [
      '/../package.json', '/..%2f..%2fpackage.json', '/%2e%2e/%2e%2e/README.md', '/@fs/etc/passwd', '/etc/passwd',
      '/%252e%252e/%252e%252e/README.md', '/..%252f..%252fREADME.md', '/..\\..\\README.md', '/..%5c..%5cREADME.md', '//etc/passwd',
      '/assets/../../../README.md', '/assets/..%2f..%2f..%2fREADME.md', '/README.md%00', '/index.html%00/../../README.md', '/.%2e/.%2e/README.md',
      '/%c0%ae%c0%ae/README.md', 'http://127.0.0.1/../../README.md', 'file:///etc/passwd', '/@fs//etc/passwd', '/@id/../package.json', '/assets', '/assets/', '/samples/',
    ]) {
      const { status, text } = await ask(url, target);
      assert.ok(status >= 400 || text === page.text, `${target}: ${status} ${text.slice(0, 100)}`);
    }
    // A name that somebody else's server gives this address to is not a name of it.
    for (const host of ['evil.example', 'evil.example:4173', '127.0.0.1.evil.example', 'localhost.evil.example']) {
      const { status, text } = await ask(url, '/', { Host: host });
      assert.equal(status, 403, host);
      assert.doesNotMatch(text, /id="app"/);
    }
    for (const address of Object.values(os.networkInterfaces()).flat().filter(({ internal, family }) => !internal && family === 'IPv4')) {
      await assert.rejects(fetch(`http://${address.address}:${new URL(url).port}/`));
    }
    assert.deepEqual(await ended, [0, null]);
    assert.match(said, /Nobody has asked for anything/);
  });
});

describe('the server of a demo with links in its folder', () => {
  test('gives what lies in the folder, and nothing that a link leads out to', async () => {
    const folder = path.join(work, 'linked');
    fs.mkdirSync(path.join(folder, 'deep'), { recursive: true });
    fs.writeFileSync(path.join(work, 'secret.html'), 'secret');
    fs.mkdirSync(path.join(work, 'secrets'));
    fs.writeFileSync(path.join(work, 'secrets/index.html'), 'secret');
    fs.writeFileSync(path.join(folder, 'index.html'), 'the page');
    fs.writeFileSync(path.join(folder, 'deep/a b.txt'), 'inside');
    for (const [link, to] of Object.entries({ 'out.html': '../secret.html', up: '..', secrets: '../secrets', 'deep/in.txt': 'a b.txt' })) {
      fs.symlinkSync(to, path.join(folder, link));
    }
    const env = { ...process.env, BALLAST_IDLE_SECONDS: '30' };
    const child = spawn(process.execPath, [path.join(BALLAST_SOURCE, 'web/demo/serve.mjs'), folder], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { said += text; });
    while (!said.includes('\n')) await once(child.stdout, 'data');
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
    const get = async (target) => {
      const response = await fetch(url + target);
      return [response.status, await response.text()];
    };
    for (const target of ['/out.html', '/out', '/up/secret.html', '/up/secret', '/secrets/', '/secrets', '/secrets/index.html', '/deep/..%2fup/secret.html', '/out.html?x', '/%6fut.html', '/x%00', '/%zz']) {
      const [status, text] = await get(target);
      assert.ok(status === 403, `${target}: ${status}`);
      assert.doesNotMatch(text, /secret/);
    }
    assert.deepEqual(await get('/'), [200, 'the page']);
    assert.deepEqual(await get('/deep/a%20b.txt'), [200, 'inside']);
    assert.deepEqual(await get('/deep/in.txt'), [200, 'inside']);
    assert.deepEqual(await get('/deep/'), [200, 'the page']); // no list of what is there
    child.kill();
    await ended;
  });
});

describe('the snippets of the demo', () => {
  const snippet = (name) => fs.readFileSync(path.join(BALLAST_SOURCE, 'web/demo/snippets', name), 'utf8');
  const { tensors } = inspected(sample('tiny.gguf'));

  test('Node', async () => {
    const folder = path.join(work, 'node');
    fs.mkdirSync(folder);
    fs.writeFileSync(path.join(folder, 'look.mjs'), snippet('node.mjs'));
    fs.copyFileSync(sample('tiny.gguf'), path.join(folder, 'model.gguf'));
    const lines = execFileSync(process.execPath, ['look.mjs'], { cwd: folder, encoding: 'utf8' }).trimEnd().split('\n');
    assert.deepEqual(lines.slice(0, -1), tensors.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape.join(' x ')}`));
    const [min, max, mean] = lines.at(-1).split(' ').map(Number);
    assert.ok(min < mean && mean < max);
  });

  const engine = 'chromium';
  test('Vite and plain HTML', async (t) => {
    const lacking = await missing(engine);
    if (lacking) return t.skip(lacking);
    const [vite, plain] = ['vite', 'plain'].map((name) => path.join(work, name));
    fs.mkdirSync(vite);
    fs.writeFileSync(path.join(vite, 'main.js'), snippet('vite.js'));
    fs.writeFileSync(path.join(vite, 'index.html'), '<!doctype html>\n<title>?</title>\n<script type="module" src="./main.js"></script>\n');
    execFileSync(path.join(BALLAST_SOURCE, 'web/node_modules/.bin/vite'), ['build', '--base=./', '--logLevel=error'], { cwd: vite });
    fs.mkdirSync(plain);
    for (const name of ['page.html', 'page.js']) fs.writeFileSync(path.join(plain, name), snippet(name));
    fs.cpSync(path.join(packageFolder, 'dist'), path.join(plain, 'ballast-loader'), { recursive: true });
    for (const folder of [plain, path.join(vite, 'dist')]) fs.copyFileSync(sample('tiny.gguf'), path.join(folder, 'model.gguf'));
    const browser = await launch(engine);
    try {
      const titled = async (url) => {
        const page = await browser.page(url);
        const title = await page.run(async (origin) => {
          const { until } = await import(`${origin}/tests/demo_page.mjs`);
          return until(() => !['?', 'A model'].includes(document.title) && document.title, 'a title');
        }, server.origin);
        const text = await page.run(() => document.body.textContent);
        assert.deepEqual(page.errors, []);
        await page.close();
        return { title, text };
      };
      const [first] = tensors;
      const elements = first.shape.reduce((product, size) => product * size, 1);
      const built = await titled(`${server.origin}/made/vite/dist/index.html`);
      assert.equal(built.title, `${first.nbytes} bytes, ${elements} values`);
      const page = await titled(`${server.origin}/made/plain/page.html`);
      assert.match(page.title, /^from -\S+ to \S+$/);
      for (const { name, dtype } of tensors) {
        assert.ok(built.text.includes(`${name} ${dtype}`));
        assert.ok(page.text.includes(`${name} ${dtype}`));
      }
    } finally {
      await browser.close();
    }
  });
});

for (const engine of ENGINES) {
  describe(`the demo in ${engine}`, { skip: skips.get(engine) }, () => {
    let browser;
    let page;
    before(async () => { browser = await launch(engine); });
    after(() => browser?.close());

    /** A page of its own, under the policy that is in it. */
    const open = async (hash = '', folder = 'demo') => {
      if (page) {
        assert.deepEqual(page.errors, [], 'what nothing caught, or the policy refused');
        await page.close();
      }
      page = await browser.page(`${server.origin}/${folder}/index.html${hash}`);
      return page;
    };
    /** Opens a model in some way, and answers what is shown. */
    const opened = async (act, ...args) => page.run(OPENED[act], server.origin, ...args);
    after(() => assert.deepEqual(page?.errors ?? [], []));

    test('every sample opens by its button', async () => {
      await open();
      const samples = await page.run(() => [...document.querySelectorAll('[data-sample]')].map(({ dataset }) => dataset.sample));
      assert.equal(samples.length, 8);
      for (const file of samples) {
        const found = await opened('sample', file);
        const truth = inspected(path.join(BALLAST_DEMO, file));
        assert.equal(found.facts.tensors, String(truth.tensors.length), file);
        assert.equal(found.facts.format, truth.format === 'gguf' ? 'GGUF 3' : 'safetensors');
        assert.deepEqual(found.keys, Object.keys(truth.metadata));
        assert.deepEqual(found.mix.toSorted(), [...new Set(truth.tensors.map(({ dtype }) => dtype))].toSorted());
        assert.match(found.read, /^Inspected .+ by reading [\d.]+ k?B in [\d.]+ m?s\.$/);
      }
    });

    test('an address opens, and the address of the page then leads to it', async () => {
      await open();
      const found = await opened('address', '/samples/tiny.gguf');
      assert.equal(found.title, 'Tiny Ballast');
      const hash = await page.run(() => location.hash);
      await open(hash);
      assert.equal((await opened('wait')).title, 'Tiny Ballast');
      const missed = await opened('address', '/samples/none.gguf');
      assert.equal(missed.error.facts.code, 'http_status');
      assert.equal(missed.error.facts.status, '404');
      const refused = await opened('address', 'http://[');
      assert.equal(refused.error.facts.code, 'unsupported_source');
    });

    test('of a large file on a server only a little is read', async () => {
      await open();
      const before = server.log.length;
      const found = await opened('address', '/made/large.safetensors');
      assert.match(found.read, /^Inspected 25\.2 MB by reading /);
      const sent = server.log.slice(before).filter(({ path: asked }) => asked.endsWith('large.safetensors')).reduce((sum, entry) => sum + entry.sent, 0);
      assert.ok(sent <= 65536, String(sent));
    });

    test('files are picked: one, shards, an index with its shards', async () => {
      await open();
      const shards = [1, 2, 3].map((i) => `tiny-0000${i}-of-00003.gguf`);
      const indexed = ['tiny.safetensors.index.json', 'tiny-00001-of-00002.safetensors', 'tiny-00002-of-00002.safetensors'];
      for (const [names, files] of [[['tiny.gguf'], 'one'], [shards, '3 shards'], [indexed, '2 shards']]) {
        await page.run(() => { globalThis.was = document.querySelector('#model > *'); });
        await page.setFiles('#files', names.map((name) => sample(name)));
        const found = await opened('changed');
        assert.equal(found.facts.files, files);
        assert.equal(found.facts.tensors, String(inspected(sample(names[0])).tensors.length));
      }
    });

    test('files and folders are dropped; of several models one is chosen', async () => {
      await open();
      assert.equal((await opened('drop', ['/samples/tiny.gguf'])).title, 'Tiny Ballast');
      const folder = ['/samples/tiny.safetensors.index.json', '/samples/tiny-00001-of-00002.safetensors', '/samples/tiny-00002-of-00002.safetensors', '/tests/page.mjs'];
      assert.equal((await opened('dropFolder', folder)).facts.files, '2 shards');
      const { choice } = await opened('dropFolder', [...folder, '/samples/tiny.gguf']);
      assert.deepEqual(choice.toSorted(), ['tiny-00001-of-00002.safetensors', 'tiny.gguf']);
      assert.equal((await opened('choose', 'tiny.gguf')).title, 'Tiny Ballast');
    });

    test('tensors are found, in the tree and on the map', async () => {
      await open();
      await opened('sample', 'samples/tiny.gguf');
      const { found, groups, names } = await page.run(SEARCHED, server.origin, 'ffn q6');
      assert.equal(found, '1 of 21 tensors');
      assert.deepEqual(names, ['blk.0.ffn_down.weight']);
      assert.deepEqual(groups, ['blk.0']);
      // The first in the file is the embedding; the next one follows.
      await page.run(() => document.querySelector('.map canvas').focus());
      await page.press('ArrowRight');
      const first = await page.run(() => document.querySelector('.map canvas').getAttribute('aria-valuetext'));
      assert.match(first, /^token_embd\.weight, Q8_0, 32 × 40, 1\.36 kB at byte /);
      await page.press('ArrowRight');
      await page.press('Enter');
      const shown = await page.run(async (origin) => {
        const { until, one } = await import(`${origin}/tests/demo_page.mjs`);
        return (await until(() => one('.tensor-panel[data-shown]'), 'a tensor')).dataset.shown;
      }, server.origin);
      assert.equal(shown, 'blk.0.attn_norm.weight');
      const pointed = await page.run(POINTED, server.origin);
      assert.match(pointed, /, F16, 32 × 40, 2\.56 kB at byte 42,112$/);
    });

    test('metadata are found, and tokens among them', async () => {
      await open();
      await opened('sample', 'samples/tiny.gguf');
      const { first, found, template } = await page.run(TOKENS, server.origin, 'sai');
      assert.equal(first, '40');
      assert.deepEqual(found, ['12 "▁sails"']);
      assert.match(template, /^"\{% for message in messages %\}/);
    });

    test('of a tensor its own bytes are fetched, and its values are right', async () => {
      await open();
      await opened('address', '/made/large.safetensors');
      const { open: load } = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')));
      const large = await load(path.join(work, 'large.safetensors'));
      const { byteOffset, byteLength } = large.tensor('some more');
      const before = server.log.length;
      await page.run(SHOWN, server.origin, 'some more');
      const ranges = server.log.slice(before).filter(({ path: asked }) => asked.endsWith('large.safetensors'))
        .map(({ range }) => /(\d+)-(\d+)/.exec(range).slice(1).map(Number));
      assert.ok(ranges.length > 0);
      for (const [first, last] of ranges) assert.ok(byteOffset <= first && last < byteOffset + byteLength, `${first} to ${last}`);
      // All of it once, for the statistics, and some rows for the pictures.
      assert.ok(ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0) < 1.5 * byteLength);
      large.close();
      await opened('address', '/samples/tiny.gguf');
      const model = await load(sample('tiny.gguf'));
      const tensor = model.tensor('blk.1.ffn_down.weight');
      const shown = await page.run(SHOWN, server.origin, tensor.name);
      const values = await tensor.values({ rows: [0, 1] });
      assert.deepEqual(shown.numbers, Array.from(values.subarray(0, 64), printed));
      const { min, max } = await tensor.stats();
      assert.equal(Number(shown.facts.min), Number(min.toPrecision(5)));
      assert.equal(Number(shown.facts.max), Number(max.toPrecision(5)));
      assert.deepEqual([shown.heat.width, shown.heat.height], [256, 32]);
      assert.ok(shown.heat.colours > 50);
      assert.match(shown.histogram, /^Histogram: values from /);
      assert.ok(shown.drawn);
      assert.deepEqual(shown.fields, [['d', 2], ['dmin', 2], ['scales', 12], ['qs', 128]].map(([name, bytes]) => ({ name, bytes })));
      assert.equal(shown.scales, 8);
      const moved = await page.run(MOVED, server.origin, 3, 5);
      assert.equal(moved.numbers[0], printed((await tensor.values({ rows: [3, 4] }))[0]));
      assert.match(moved.label, /^Values in rows 5 to 31, columns 0 to 255/);
      model.close();
    });

    test('every dtype has its values, and what is no number is counted', async () => {
      await open();
      await opened('sample', 'samples/dtypes.gguf');
      const { open: load } = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')));
      const model = await load(path.join(BALLAST_DEMO, 'samples/dtypes.gguf'));
      assert.ok(model.tensors.length > 30);
      for (const tensor of model.tensors) {
        const shown = await page.run(SHOWN, server.origin, tensor.name);
        assert.equal(shown.error, undefined, tensor.name);
        const values = await tensor.values({ rows: [0, 1] });
        const print = values instanceof Float32Array ? printed : String;
        assert.deepEqual(shown.numbers, Array.from(values.subarray(0, 64), print), tensor.name);
        if (tensor.blockElements > 1) {
          assert.equal(shown.fields.reduce((sum, { bytes }) => sum + bytes, 0), tensor.blockBytes);
          assert.ok(shown.scales > 0);
        }
        if (tensor.name === 'odd.values') {
          const { facts } = shown;
          assert.deepEqual([facts.NaN, facts['+∞'], facts['−∞'], facts.zeros], ['1', '1', '1', '2']);
        }
      }
      model.close();
    });

    test('it is loaded, with progress, and cancelled at once', async () => {
      await open();
      await opened('address', '/made/large.safetensors');
      const loaded = await page.run(LOADED, server.origin);
      assert.equal(loaded.facts['bytes copied'], '25.2 MB, each once');
      assert.equal(loaded.facts.addresses, 'wasm32');
      assert.match(loaded.facts['peak of the memory'], /^2[5-9]\.\d MB$/);
      await opened('address', '/made/large.safetensors?slow=2000000');
      const before = server.log.length;
      const cancelled = await page.run(CANCELLED, server.origin);
      assert.match(cancelled.told, /^Cancelled\. Nothing stays allocated\.$/);
      assert.match(cancelled.progress, /^[\d.]+ [kM]B of 25\.2 MB, [\d.]+ [kM]B\/s, .+ remain/);
      const sent = () => server.log.slice(before).reduce((most, entry) => Math.max(most, entry.sent), 0);
      // No more comes: what would have been all of it in twelve seconds ends where it is.
      let last = -1;
      while (last !== sent()) {
        last = sent();
        await sleep(1000);
      }
      assert.ok(last < LARGE / 2, `${last} bytes came`);
    });

    test('the naive way stands beside it', async () => {
      await open();
      await opened('address', '/made/large.safetensors');
      const plain = await page.run(COMPARED, server.origin);
      assert.deepEqual(plain['Bytes copied'], ['25.2 MB', '50.3 MB']);
      assert.match(plain['Memory at the peak'][1], /^50\.\d MB$/);
      assert.ok(plain.Time.every((time) => /^[\d.]+ m?s$/.test(time)));
      await opened('address', '/made/large.safetensors.gz');
      assert.deepEqual((await page.run(COMPARED, server.origin))['Bytes copied'], ['25.2 MB', '50.3 MB']);
      await opened('sample', 'samples/tiny.gguf.zst');
      assert.match(await page.run(COMPARED, server.origin), /The platform has no decoder for zstd\.$/);
    });

    test('a large model is made in the page, and the better way to load it shows', async () => {
      await open();
      const found = await opened('made');
      assert.deepEqual([found.facts.size, found.facts.tensors, found.mix], ['268 MB', '192', ['BF16']]);
      assert.match(found.read, /^Inspected 268 MB by reading [\d.]+ kB /);
      const { min, max, NaN: nan } = (await page.run(SHOWN, server.origin, 'model.layers.31.mlp.down_proj.weight')).facts;
      assert.ok(Number(min) < -0.1 && Number(max) > 0.1 && nan === '0');
      const [ours, naive] = (await page.run(COMPARED, server.origin))['Memory at the peak'].map((text) => Number.parseFloat(text));
      assert.ok(ours < 275 && naive > 530, `${ours} and ${naive} MB`);
    });

    test('a file that is larger than any memory here is looked into', async () => {
      await open();
      await page.run(() => { globalThis.was = document.querySelector('#model > *'); });
      await page.setFiles('#files', [path.join(work, 'huge.safetensors')]);
      const found = await opened('changed');
      assert.match(found.read, /^Inspected 20\.0 GB by reading 65\.5 kB in /);
      const shown = await page.run(HUGE, server.origin);
      assert.equal(shown.offer, 'Read 20.0 GB for its statistics');
      assert.equal(shown.warning, `There is room for ${engine === 'webkit' ? '2.15' : '17.2'} GB here: it will be refused. Its tensors can be looked at all the same.`);
      assert.deepEqual(shown.numbers, ['1', '2', '3', '0', '0', '0', '0', '0']);
    });

    test('the gallery shows the error of every broken file', async () => {
      await open();
      for (const [file, [name, code]] of Object.entries(BROKEN)) {
        const { error } = await opened('broken', file);
        assert.ok(error, `${file} opens`);
        assert.equal(error.facts.code, code, file);
        assert.ok(error.heading.endsWith(`: ${name}`), error.heading);
        assert.ok(error.message.length > 40 && error.message.includes(code));
      }
      const old = await opened('broken', 'dtype.gguf');
      assert.match(old.warnings[0], /Q4_2.*unknown_dtype/);
      const shown = await page.run(() => [...document.querySelectorAll('[data-broken]')].map(({ dataset }) => dataset.broken));
      assert.deepEqual(shown.toSorted(), [...Object.keys(BROKEN), 'dtype.gguf', 'name.gguf'].toSorted());
    });

    test('hostile names stay text', async () => {
      await open();
      const found = await opened('broken', 'name.gguf');
      assert.equal(found.title, '⟨U+001B⟩[31m<img src=x onerror=alert(1)>⟨U+202E⟩fugg');
      assert.ok(found.keys.includes('__proto__'));
      const { text, elements } = await page.run(() => ({
        text: document.querySelector('#model').textContent,
        elements: document.querySelectorAll('#model img, #model script, #model b b').length,
      }));
      assert.equal(elements, 0);
      assert.ok(text.includes('<script>alert(1)</script>⟨U+202E⟩'));
      assert.doesNotMatch(text, /[\u202e\u001b]/);
      const shown = await page.run(SHOWN, server.origin, '__proto__');
      assert.equal(shown.error, undefined);
    });

    test('nothing that a file says is done: no markup, no link, no request, no other object', async () => {
      await open();
      const asked = server.log.length;
      const found = await opened('address', '/made/hostile.safetensors');
      assert.equal(found.error, undefined);
      assert.equal(found.keys.length, KEYS.length);
      assert.ok(found.keys.includes('__proto__') && found.keys.includes('toString'));
      for (const name of ['__proto__', 'constructor', WEAPONS[0]]) {
        const shown = await page.run(SHOWN, server.origin, name);
        assert.equal(shown.error, undefined, name);
        assert.equal(shown.facts.dtype, 'U8');
      }
      const state = await page.run(() => {
        const model = document.querySelector('#model');
        const attributes = [...model.querySelectorAll('*')].flatMap((one) => [...one.attributes]);
        return {
          made: [...new Set([...model.querySelectorAll('*')].map(({ localName }) => localName))],
          links: attributes.filter(({ name }) => /^(href|src|srcdoc|action|formaction|ping|background|on.*)$/.test(name)).map(({ name, value }) => `${name}=${value}`),
          read: [model.textContent, document.title, ...attributes.filter(({ name }) => /^(title|aria-label|alt|placeholder)$/.test(name)).map(({ value }) => value)],
          owned: globalThis.owned, polluted: Object.keys(Object.prototype).concat(Object.keys(Array.prototype)),
          proto: [typeof ({}).toString, Object.getPrototypeOf({}) === Object.prototype],
        };
      });
      for (const element of ['script', 'img', 'iframe', 'a', 'link', 'style', 'form', 'base', 'meta', 'object', 'embed']) {
        assert.ok(!state.made.includes(element), element);
      }
      assert.deepEqual(state.links, []);
      for (const text of state.read) assert.doesNotMatch(text, /[^\P{Cc}\n]|[\p{Cf}\u2028\u2029]/u);
      assert.ok(state.read[0].includes('<img src=x onerror=globalThis.owned=1>'));
      assert.deepEqual([state.owned, state.polluted, state.proto], [undefined, [], ['function', true]]);
      const elsewhere = server.log.slice(asked).map(({ path: one }) => one).filter((one) => !/^\/(made\/hostile\.safetensors|demo\/|tests\/)/.test(one));
      assert.deepEqual(elsewhere, []);
    });

    test('what the engine can do is told, and the theme is a choice', async () => {
      await open();
      const facts = await page.run(async (origin) => {
        const { until, one, factsOf } = await import(`${origin}/tests/demo_page.mjs`);
        await until(() => one('.environment dd'), 'facts of the engine');
        return factsOf('.environment');
      }, server.origin);
      assert.match(facts.addresses, engine === 'webkit' ? /^wasm32/ : /wasm64/);
      assert.ok(Number(facts.processors) > 0);
      const colours = await page.run(async (origin) => {
        const { click } = await import(`${origin}/tests/demo_page.mjs`);
        const found = [];
        for (let i = 0; i < 3; ++i) {
          await click('.theme');
          await new Promise((resolve) => { setTimeout(resolve, 50); });
          found.push(getComputedStyle(document.body).backgroundColor);
        }
        return found;
      }, server.origin);
      assert.notEqual(colours[0], colours[1]);
    });

    test('the keyboard alone is enough', async () => {
      await open();
      const focused = () => page.run(() => {
        const element = document.activeElement;
        return element.dataset.sample ?? element.dataset.tensor ?? element.id ?? element.textContent;
      });
      const tabTo = async (wanted) => {
        for (let i = 0; i < 60; ++i) {
          await page.press('Tab');
          if (await focused() === wanted) return;
        }
        assert.fail(`the keyboard does not come to ${wanted}: it is at ${await focused()}`);
      };
      await tabTo('url');
      await tabTo('samples/tiny.gguf');
      await page.run(() => { globalThis.was = document.querySelector('#model > *'); });
      await page.press('Enter');
      assert.equal((await opened('changed')).title, 'Tiny Ballast');
      await tabTo('search');
      for (const key of 'norm') await page.press(key);
      await tabTo('blk.1.attn_norm.weight');
      await page.press('Enter');
      const title = await page.run(async (origin) => {
        const { until, one } = await import(`${origin}/tests/demo_page.mjs`);
        await until(() => one('.tensor-panel .numbers li'), 'numbers');
        // Where a reader of the screen goes on.
        return document.activeElement.textContent;
      }, server.origin);
      assert.equal(title, 'blk.1.attn_norm.weight');
      await tabTo('row');
    });

    test('nothing keeps people from using it, light or dark', async () => {
      await open();
      const check = async (what) => {
        for (const theme of ['light', 'dark']) {
          assert.deepEqual(await page.run(VIOLATIONS, server.origin, theme), [], `${what}, ${theme}`);
        }
      };
      await check('at the start');
      await opened('sample', 'samples/tiny.gguf');
      await page.run(SHOWN, server.origin, 'blk.0.ffn_down.weight');
      await page.run(LOADED, server.origin);
      await page.run(TOKENS, server.origin, 's');
      await check('with a tensor');
      await page.run(COMPARED, server.origin);
      await check('with a comparison');
      await opened('broken', 'truncated.gguf');
      await check('with an error');
    });

    test('it works under any path', async () => {
      await open('', 'made/some/where/else');
      assert.equal((await opened('sample', 'samples/tiny.gguf.zst')).title, 'Tiny Ballast');
    });

    test('pictures are taken, and nothing is wider than a phone', async () => {
      const take = async (name, width, height) => page.screenshot(path.join(SHOTS, `${engine}-${name}.png`), { width, height });
      for (const [name, width, height] of [['desktop', 1280, 900], ['phone', 390, 844]]) {
        await open();
        await take(`${name}-start`, width, height);
        await opened('sample', 'samples/dtypes.gguf');
        await page.run(SHOWN, server.origin, 'waves.weight');
        await page.run(() => { document.querySelector('.overview').scrollIntoView({ behavior: 'instant' }); });
        await take(`${name}-model`, width, height);
        await page.run(SHOWN, server.origin, 'dtype.Q4_K.weight');
        await page.run(LOADED, server.origin);
        await page.run(COMPARED, server.origin);
        for (const part of ['.tensor-panel', '.numbers', '.layout', '.metadata', '.load', '.gallery', '.environment', '.snippets']) {
          await page.run((selector) => { document.querySelector(selector).scrollIntoView({ behavior: 'instant' }); }, part);
          await take(`${name}${part.replace('.', '-')}`, width, height);
        }
        const [inner, whole] = await page.run(() => [innerWidth, document.documentElement.scrollWidth]);
        assert.ok(whole <= inner, `${whole} pixels in a window of ${inner}`);
      }
    });
  });
}

/** In the page: opens a model in some way, and tells what is shown. */
const OPENED = {
  sample: async (origin, file) => {
    const { click, opening } = await import(`${origin}/tests/demo_page.mjs`);
    return opening(() => click(`[data-sample="${file}"]`));
  },
  broken: async (origin, file) => {
    const { click, opening } = await import(`${origin}/tests/demo_page.mjs`);
    return opening(() => click(`[data-broken="${file}"]`));
  },
  address: async (origin, url) => {
    const { click, enter, opening } = await import(`${origin}/tests/demo_page.mjs`);
    enter('#url', url);
    return opening(() => click('.address button'));
  },
  drop: async (origin, urls) => {
    const { drop, fileAt, opening } = await import(`${origin}/tests/demo_page.mjs`);
    const files = await Promise.all(urls.map(fileAt));
    return opening(() => drop(files));
  },
  dropFolder: async (origin, urls) => {
    const { drop, fileAt, folderEntry, opening } = await import(`${origin}/tests/demo_page.mjs`);
    const files = await Promise.all(urls.map(fileAt));
    // A folder in a folder.
    return opening(() => drop([], [folderEntry([folderEntry(files.slice(0, 1)), ...files.slice(1)])]));
  },
  choose: async (origin, name) => {
    const { all, opening } = await import(`${origin}/tests/demo_page.mjs`);
    return opening(() => all('.choice button').find(({ textContent }) => textContent.includes(name)).click());
  },
  made: async (origin) => {
    const { click, opening } = await import(`${origin}/tests/demo_page.mjs`);
    return opening(() => click('[data-made]'));
  },
  wait: async (origin) => (await import(`${origin}/tests/demo_page.mjs`)).outcome(),
  changed: async (origin) => {
    const { one, outcome, until } = await import(`${origin}/tests/demo_page.mjs`);
    await until(() => one('#model > *') !== globalThis.was || one('#model[aria-busy=true]'), 'another model');
    return outcome();
  },
};

/** The last row of a tensor of which nobody wants to read all. */
async function HUGE(origin) {
  const { all, click, enter, one, textOf, until } = await import(`${origin}/tests/demo_page.mjs`);
  await click('[data-tensor="huge"]');
  await until(() => one('.numbers li') && one('.heat canvas')?.width < 300, 'numbers');
  enter('#row', 199_999, 'change');
  await until(() => all('.numbers li')[0].textContent !== '0 0', 'the last row');
  return {
    offer: textOf('.tensor-panel button'),
    warning: textOf('.load .warning'),
    numbers: all('.numbers li').slice(0, 8).map((item) => item.lastChild.textContent.trim()),
  };
}

async function SEARCHED(origin, query) {
  const { all, enter, textOf, until } = await import(`${origin}/tests/demo_page.mjs`);
  enter('#search', query);
  await until(() => / of /.test(textOf('.tree .found')), 'a search');
  return {
    found: textOf('.tree .found'),
    groups: all('.tree summary b').map(({ textContent }) => textContent),
    names: all('.tree [data-tensor]').map(({ dataset }) => dataset.tensor),
  };
}

/** Points at the end of the map. */
async function POINTED(origin) {
  const { one, textOf, until } = await import(`${origin}/tests/demo_page.mjs`);
  const canvas = one('.map canvas');
  canvas.scrollIntoView();
  const { right, bottom } = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: right - 2, clientY: bottom - 2, bubbles: true }));
  await until(() => textOf('.map .hovered').startsWith('output.weight'), 'what is pointed at');
  return textOf('.map .hovered');
}

async function TOKENS(origin, query) {
  const { all, one, until } = await import(`${origin}/tests/demo_page.mjs`);
  const tokens = '[data-array="tokenizer.ggml.tokens"]';
  one(tokens).open = true;
  const input = await until(() => one(`${tokens} input`), 'a search among tokens');
  await until(() => all(`${tokens} ol li`).length === 40, 'all tokens');
  const first = String(all(`${tokens} ol li`).length);
  input.value = query;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  await until(() => all(`${tokens} ol li`).length < 40, 'those that match');
  const long = all('.metadata tr').find((row) => row.textContent.startsWith('tokenizer.chat_template'));
  return { first, found: all(`${tokens} ol li`).map(({ textContent }) => textContent), template: long.querySelector('.value').textContent };
}

async function SHOWN(origin, name) {
  return (await import(`${origin}/tests/demo_page.mjs`)).tensorShown(name);
}

/** Goes to another row, and to another part of the heat map. */
async function MOVED(origin, row, first) {
  const { all, enter, one, until } = await import(`${origin}/tests/demo_page.mjs`);
  const before = all('.numbers li')[0].textContent;
  enter('#row', row, 'change');
  enter('#first-row', first, 'change');
  await until(() => all('.numbers li')[0].textContent !== before, 'another row');
  await until(() => one('.heat canvas').height === 27, 'another part');
  return {
    numbers: all('.numbers li').map((item) => item.lastChild.textContent.trim()),
    label: one('.heat canvas').getAttribute('aria-label'),
  };
}

async function LOADED(origin) {
  const { click, factsOf, one, until } = await import(`${origin}/tests/demo_page.mjs`);
  if (one('.switch input').checked) one('.switch input').click();
  await click('.load .primary');
  await until(() => one('[data-load=loaded]'), 'a loaded model');
  return { facts: factsOf('.load') };
}

async function CANCELLED(origin) {
  const { click, one, textOf, until } = await import(`${origin}/tests/demo_page.mjs`);
  await click('.load .primary');
  await until(() => / remain/.test(textOf('.under p')), 'progress');
  const progress = textOf('.under p');
  await click('.load .controls button');
  await until(() => one('[data-load=cancelled]'), 'the end of it');
  return { progress, told: textOf('.load [aria-live]') };
}

async function COMPARED(origin) {
  const { all, click, one, textOf, until } = await import(`${origin}/tests/demo_page.mjs`);
  if (!one('.switch input').checked) one('.switch input').click();
  await until(() => textOf('.load .primary') === 'Load both ways', 'the switch');
  await click('.load .primary');
  await until(() => one('[data-load=compared]'), 'a comparison');
  if (!one('.comparison')) return textOf('.load [aria-live]');
  return Object.fromEntries(all('.comparison table').map((table) =>
    [table.caption.textContent, all('td:last-child', table).map(({ textContent }) => textContent)]));
}

async function VIOLATIONS(origin, theme) {
  return (await import(`${origin}/tests/demo_page.mjs`)).violations(theme);
}
