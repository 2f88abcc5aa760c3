// The examples of web/examples, run as users would run them: the program in a folder where the packed tarball is
// installed, the page beside a copy of its dist folder, in every engine that there is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import { ENGINES, launch, missing } from './browsers.mjs';
import { serve } from './server.mjs';
import { BALLAST_INSTALLED, BALLAST_SAMPLES, BALLAST_SOURCE, inspected, packageFolder, read, sample } from './support.mjs';

const EXAMPLES = path.join(BALLAST_SOURCE, 'web/examples');
const FIRST = 'tiny-00001-of-00003.gguf';

// Asked first: the server ends when the tests that are registered by then have ended, and the others would have none.
const skips = new Map();
for (const engine of ENGINES) skips.set(engine, (await missing(engine)) || false);

// ---- Models to look at ---------------------------------------------------------------------------

/** What a terminal or a page might obey: colours, a cleared screen, a new line, C1, text turned around, markup. */
const HOSTILE = 'w\u001b[31m\u001b[2J\r\n\u009b1m\u202e<img src="x" onerror="alert(1)">';
const ESCAPED = 'w\\u{1b}[31m\\u{1b}[2J\\u{d}\\u{a}\\u{9b}1m\\u{202e}<img src="x" onerror="alert(1)">';

/** safetensors of F32 tensors, by name. */
function safetensors(tensors, metadata) {
  const header = metadata ? { __metadata__: metadata } : {};
  let size = 0;
  for (const [name, values] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape: [2, values.length / 2], data_offsets: [size, (size += values.byteLength)] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...Object.values(tensors).map(({ buffer }) => Buffer.from(buffer))]);
}

/** Eighths, whose sums are exact, and other ones for each seed. */
const eighths = (count, seed) => Float32Array.from({ length: count }, (_, i) => ((i * seed) % 1001) / 8 - 50);

/** What statistics should be, from their definitions. */
function statisticsOf(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return {
    count: values.length, zero: values.filter((value) => value === 0).length, mean, standardDeviation: Math.sqrt(variance),
    min: values.reduce((a, b) => Math.min(a, b)), max: values.reduce((a, b) => Math.max(a, b)),
  };
}

const LARGE = eighths(2 << 20, 37);
const SMALL = eighths(1000, 11);

/** The files of the tests: `models` for the program and the server, `site` with the page. */
function prepare() {
  const folder = fs.mkdtempSync(path.join(BALLAST_INSTALLED, 'examples-'));
  const models = path.join(folder, 'models');
  const site = path.join(folder, 'site');
  for (const one of [models, site]) fs.mkdirSync(one);
  for (const name of fs.readdirSync(EXAMPLES)) fs.copyFileSync(path.join(EXAMPLES, name), path.join(site, name));
  fs.cpSync(path.join(packageFolder, 'dist'), path.join(site, 'ballast-loader'), { recursive: true });
  const files = {
    'large.safetensors': safetensors({ small: SMALL, large: LARGE }),
    'hostile.safetensors': safetensors({ [HOSTILE]: SMALL }, { 'general.architecture': HOSTILE }),
    'tiny.gguf.gz': zlib.gzipSync(read('tiny.gguf')),
    'page.gguf': '<!doctype html>\n<title>404</title>',
  };
  for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(models, name), bytes);
  return { folder, models, site };
}

let made;
let server;
before(async () => {
  made = prepare();
  server = await serve({ models: made.models, samples: BALLAST_SAMPLES, site: made.site });
});
after(async () => {
  await server.close();
  fs.rmSync(made.folder, { recursive: true, force: true });
});

const model = (name) => path.join(made.models, name);
const url = (name, query = '') => `${server.origin}/models/${name}${query}`;
const size = (name) => fs.statSync(model(name)).size;
const grouped = (number) => number.toLocaleString('en');

// ---- The program ---------------------------------------------------------------------------------

/** What makes a program take its standard error for a terminal. */
const TERMINAL = ['--import', 'data:text/javascript,process.stderr.isTTY = true'];

/** Starts the example, and gives what it has printed so far and its end. */
function start(args, flags = []) {
  const child = spawn(process.execPath, [...flags, path.join(made.site, 'node.mjs'), ...args]);
  const running = { child, stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => { running[name] += text; });
  }
  running.ended = once(child, 'close').then(([status, signal]) => ({ ...running, status, signal }));
  return running;
}

const run = (...args) => start(args).ended;

/** Waits for something that is to come soon. */
async function until(what, condition) {
  for (const end = performance.now() + 20_000; !condition();) {
    assert.ok(performance.now() < end, what);
    await sleep(10);
  }
}

/** What the example should say of a file, from what the command of the package says. */
function directoryOf(name) {
  const { format, metadata, tensors } = inspected(sample(name));
  const bytes = new Map();
  for (const { dtype, nbytes } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + (nbytes ?? 0));
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return [
    `${format}, ${metadata['general.architecture']?.value ?? 'no architecture'}, ${grouped(parameters)} parameters`,
    ...Array.from(bytes, ([dtype, count]) => `  ${dtype}: ${grouped(count)} bytes`),
  ];
}

/** The lines that the example prints of a tensor whose values are known. */
function tensorOf(name, values) {
  const { count, min, max, mean, standardDeviation } = statisticsOf(values);
  const rounded = (value) => Number(value.toPrecision(6));
  return [
    `${name}, F32, 2 x ${count / 2}`,
    `  ${grouped(count)} values from ${rounded(min)} to ${rounded(max)}`,
    `  mean ${rounded(mean)}, standard deviation ${rounded(standardDeviation)}`,
    `  first ${Array.from(values.subarray(0, 8), rounded).join(', ')}`,
  ];
}

describe('node.mjs', () => {
  test('says what is in a model: plain, compressed, a set', async () => {
    const files = [
      [sample('tiny.gguf'), 'tiny.gguf'], [sample('tiny.safetensors'), 'tiny.safetensors'],
      [model('tiny.gguf.gz'), 'tiny.gguf'], [sample(FIRST), FIRST],
    ];
    for (const [file, truth] of files) {
      const { status, stdout, stderr } = await run(file);
      assert.deepEqual([status, stderr], [0, ''], file);
      const expected = directoryOf(truth);
      const lines = stdout.split('\n');
      assert.deepEqual(lines.slice(0, expected.length), expected);
      assert.match(lines[expected.length], file.endsWith('.gz') ? /^read [\d,]+ of \? bytes$/ : /^read [\d,]+ of [\d,]+ bytes$/);
      assert.match(lines[expected.length + 1], /^needs .*, limit /);
      assert.match(lines.at(-2), /^\d+\.\d+ MB of memory, at most \d+\.\d+ MB$/);
    }
  });

  test('shows the largest tensor, or the one that is asked for', async () => {
    const file = model('large.safetensors');
    for (const [args, expected] of [[[file], tensorOf('large', LARGE)], [[file, 'small'], tensorOf('small', SMALL)]]) {
      const { status, stdout } = await run(...args);
      assert.equal(status, 0);
      assert.deepEqual(stdout.split('\n').slice(-6, -2), expected);
    }
  });

  test('of a URL, reads no more than the directory before it loads', async () => {
    const seen = server.log.length;
    const { status, stdout, stderr } = await run(url('large.safetensors'), 'small');
    assert.deepEqual([status, stderr], [0, '']);
    const [, some, all] = /^read ([\d,]+) of ([\d,]+) bytes$/m.exec(stdout).map((text) => Number(text.replaceAll(',', '')));
    assert.equal(all, size('large.safetensors'));
    assert.ok(some <= 65536, String(some));
    const requests = server.log.slice(seen);
    assert.deepEqual(requests.filter(({ range }) => !range).map(({ sent }) => sent), [all]);
    assert.ok(requests.at(-1).range === undefined, 'it is loaded last');
  });

  test('tells errors in one line with their code, and by its exit status', async () => {
    const cases = [
      ['no_such_file_or_directory', model('none.gguf')],
      ['html_page', model('page.gguf')],
      ['http_status', url('none.gguf')],
      ['no_such_tensor', sample('tiny.gguf'), 'none'],
    ];
    for (const [code, ...args] of cases) {
      const { status, stderr } = await run(...args);
      assert.match(stderr, new RegExp(`^.+ \\(${code}( at byte \\d+)?\\)\\n$`));
      assert.equal(status, 1, code);
    }
    for (const args of [[], ['a', 'b', 'c']]) {
      const { status, stdout, stderr } = await run(...args);
      assert.deepEqual([status, stdout, stderr], [2, '', 'usage: node node.mjs MODEL [TENSOR]\n']);
    }
  });

  test('refuses what does not fit before it is loaded', async () => {
    const file = model('huge.safetensors');
    const bytes = 20e9;  // more than 64-bit memory can be
    const header = Buffer.from(JSON.stringify({ t: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    fs.writeFileSync(file, Buffer.concat([length, header]));
    fs.truncateSync(file, 8 + header.length + bytes);
    const { status, stdout, stderr } = await run(file);
    fs.rmSync(file);
    assert.equal(status, 1);
    assert.match(stdout, /\nneeds 20\.0 GB, limit [\d.]+ GB\n$/);
    assert.match(stderr, /^the model does not fit: .* \(too_large\)\n$/);
  });

  test('lets nothing of a file reach the terminal unescaped', async () => {
    const control = /[^\P{C}\n]|[\u2028\u2029]/u;
    const { status, stdout } = await run(model('hostile.safetensors'));
    assert.equal(status, 0);
    assert.doesNotMatch(stdout, control);
    assert.ok(stdout.startsWith(`safetensors, ${ESCAPED}, `), stdout);
    assert.ok(stdout.includes(`\n${ESCAPED}, F32, `), stdout);
    const refused = await run(model('hostile.safetensors'), `${HOSTILE}!`);
    assert.equal(refused.status, 1);
    assert.doesNotMatch(refused.stderr, control);
    assert.match(refused.stderr, /^there is no tensor .* \(no_such_tensor\)\n$/);
  });

  test('shows progress where standard error is a terminal', async () => {
    const { status, stdout, stderr } = await start([url('large.safetensors', '?slow=16000000')], TERMINAL).ended;
    assert.equal(status, 0);
    assert.match(stderr, /^\r\d\.\d\d MB of 8\.39 MB(, \d+\.\d\d MB\/s, \d+ s left)?\x1b\[K/);
    assert.match(stderr, /, \d+ s left/);
    assert.ok(stderr.endsWith('\r\x1b[K'), JSON.stringify(stderr));
    assert.doesNotMatch(stdout, /\r|\x1b/);
  });

  test('says nothing more where nobody reads what it prints', async () => {
    const running = start([sample('tiny.gguf')]);
    running.child.stdout.destroy();
    const { status, stderr } = await running.ended;
    assert.deepEqual([status, stderr], [1, '']);
  });

  test('is ended by Ctrl-C, while it looks and while it loads', async () => {
    const ways = [
      ['?slow=2000', (_, log) => log.length > 0],
      ['?slow=500000', ({ stderr }) => stderr.includes('MB/s')],
    ];
    for (const [query, isReady] of ways) {
      const seen = server.log.length;
      const running = start([url('large.safetensors', query)], TERMINAL);
      await until(`${query}: it begins`, () => isReady(running, server.log.slice(seen)));
      const sent = performance.now();
      running.child.kill('SIGINT');
      const { status, signal, stderr } = await running.ended;
      const took = performance.now() - sent;
      assert.deepEqual([status, signal], [130, null], stderr);
      assert.ok(took < 5000, `${query}: ${took} ms`);
      assert.match(stderr, /(^|\x1b\[K)cancelled\n$/);
    }
  });
});

// ---- The page ------------------------------------------------------------------------------------

/** In the page: waits until its script has run. WebKit's driver does not always. */
async function loadedInPage() {
  if (document.readyState !== 'complete') await new Promise((resolve) => { addEventListener('load', resolve, { once: true }); });
}

/** In the page: waits until the status says something, and answers what. */
async function statusInPage(pattern) {
  for (const end = performance.now() + 20_000; ;) {
    const { textContent } = document.querySelector('#status');
    if (new RegExp(pattern).test(textContent)) return textContent;
    if (performance.now() > end) throw new Error(`the status is "${textContent}"`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

/** In the page: gives an address, and asks for what is there. */
function lookInPage(address) {
  document.querySelector('#url').value = address;
  document.querySelector('#address button').click();
}

const clickInPage = (selector) => document.querySelector(selector).click();

/** In the page: another tensor is chosen. */
function chooseInPage(index) {
  const list = document.querySelector('#tensors');
  list.selectedIndex = index;
  list.dispatchEvent(new Event('change', { bubbles: true }));
}

/** In the page: all that it shows. */
function shownInPage() {
  const text = (selector) => Array.from(document.querySelectorAll(selector), ({ textContent }) => textContent);
  const [terms, values] = [text('#statistics dt'), text('#statistics dd')];
  const { value, max } = document.querySelector('#progress');
  return {
    isFound: !document.querySelector('#found').hidden, summary: text('#summary')[0], tensors: text('#tensors option'),
    statistics: Object.fromEntries(terms.map((term, i) => [term, values[i]])), value, max,
    isError: document.querySelector('#status').classList.contains('error'),
    mayCancel: !document.querySelector('#cancel').disabled,
  };
}

/** Holds what the page says of a tensor against its values. */
function assertStatistics(shown, name, values) {
  const { count, zero, min, max, mean, standardDeviation } = statisticsOf(values);
  const number = (term) => Number(shown[term].replaceAll(',', ''));
  assert.equal(shown.tensor, name);
  assert.deepEqual([number('values'), number('zeros'), number('NaN')], [count, zero, 0]);
  for (const [term, expected] of Object.entries({ least: min, greatest: max, mean, 'standard deviation': standardDeviation })) {
    assert.ok(Math.abs(number(term) - expected) <= 1e-5 * Math.abs(expected), `${term}: ${shown[term]}, not ${expected}`);
  }
}

test('the page has its policy, and nothing in it that the policy forbids', () => {
  const html = fs.readFileSync(path.join(EXAMPLES, 'page.html'), 'utf8');
  const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html);
  assert.match(policy, /default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
  assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|\*/);
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  assert.doesNotMatch(fs.readFileSync(path.join(EXAMPLES, 'page.js'), 'utf8'), /innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
});

for (const engine of ENGINES) {
  describe(`page.html in ${engine}`, { skip: skips.get(engine) }, () => {
    let browser;
    before(async () => {
      browser = await launch(engine);
    });
    after(() => browser?.close());

    /** A test of a page of its own, in which nothing may go wrong unseen. */
    const visit = (name, work) => test(name, async () => {
      const page = await browser.page(`${server.origin}/site/page.html`);
      const status = (pattern) => page.run(statusInPage, pattern.source);
      const shown = () => page.run(shownInPage);
      try {
        await page.run(loadedInPage);
        await work(page, status, shown);
        assert.deepEqual(page.errors, []);
      } finally {
        await page.close();
      }
    });

    visit('shows the directory of a URL, loads it and counts', async (page, status, shown) => {
      await page.run(lookInPage, url('large.safetensors'));
      const [some, all] = (await status(/^Read .* bytes\.$/)).replaceAll(',', '').match(/\d+/g).map(Number);
      assert.equal(all, size('large.safetensors'));
      assert.ok(some <= 65536, String(some));
      const found = await shown();
      assert.equal(found.summary, `safetensors, no architecture, ${grouped(LARGE.length + SMALL.length)} parameters`);
      assert.deepEqual(found.tensors, [`small, F32, 2 x ${SMALL.length / 2}`, `large, F32, 2 x ${LARGE.length / 2}`]);
      assert.deepEqual([found.isFound, found.statistics, found.value, found.mayCancel], [true, {}, 0, false]);
      await page.run(clickInPage, '#load');
      await status(/^In memory: /);
      const loaded = await shown();
      assertStatistics(loaded.statistics, 'small', SMALL);
      assert.deepEqual([loaded.value, loaded.max, loaded.mayCancel], [all, all, false]);
      await page.run(chooseInPage, 1);
      await status(/^In memory: /);
      assertStatistics((await shown()).statistics, 'large', LARGE);
    });

    visit('takes a file, and the files of a set', async (page, status, shown) => {
      for (const names of [['tiny.gguf'], [1, 2, 3].map((i) => FIRST.replace('00001', `0000${i}`))]) {
        const { tensors } = inspected(sample(names[0]));
        await page.setFiles('#files', names.map(sample));
        await status(/^Read /);
        const found = await shown();
        assert.equal(found.summary, directoryOf(names[0])[0]);
        assert.deepEqual(found.tensors, tensors.map(({ name, dtype, shape }) => `${name}, ${dtype}, ${shape.join(' x ')}`));
        await page.run(clickInPage, '#load');
        await status(/^In memory: /);
        const { statistics: { tensor, values } } = await shown();
        assert.deepEqual([tensor, values], [tensors[0].name, grouped(tensors[0].shape.reduce((a, b) => a * b, 1))]);
      }
    });

    visit('shows progress, and gives up when it is told to', async (page, status, shown) => {
      await page.run(lookInPage, url('large.safetensors', '?slow=1000000'));
      await status(/^Read /);
      const seen = server.log.length;
      await page.run(clickInPage, '#load');
      const { value, max, mayCancel } = await page.run(async () => {
        const progress = document.querySelector('#progress');
        for (let i = 0; progress.value === 0 && i < 2000; ++i) await new Promise((resolve) => { setTimeout(resolve, 10); });
        return { value: progress.value, max: progress.max, mayCancel: !document.querySelector('#cancel').disabled };
      });
      assert.equal(max, size('large.safetensors'));
      assert.ok(value > 0 && value < max && mayCancel, `${value} of ${max}`);
      const asked = performance.now();
      await page.run(clickInPage, '#cancel');
      assert.equal(await status(/^(Cancelled|In memory)/), 'Cancelled.');
      assert.ok(performance.now() - asked < 4000);
      const left = await shown();
      assert.deepEqual([left.value, left.statistics, left.isError, left.mayCancel], [0, {}, false, false]);
      // The connection ends with it.
      const sent = () => server.log.slice(seen).reduce((sum, entry) => sum + entry.sent, 0);
      await sleep(300);
      const before = sent();
      await sleep(300);
      assert.equal(sent(), before);
      assert.ok(before < max, String(before));
    });

    visit('shows that something is under way where nobody knows how much there is', async (page, status) => {
      await page.run(lookInPage, url('tiny.gguf.gz', '?length=none&slow=40000'));
      await status(/^Read [\d,]+ of \? bytes\.$/);
      await page.run(clickInPage, '#load');
      const positions = await page.run(async () => {
        const seen = new Set();
        const isLoading = () => !/^In memory/.test(document.querySelector('#status').textContent);
        for (let i = 0; isLoading() && i < 2000; ++i) {
          seen.add(document.querySelector('#progress').position);
          await new Promise((resolve) => { setTimeout(resolve, 10); });
        }
        return [...seen, document.querySelector('#progress').position];
      });
      assert.ok(positions.includes(-1), String(positions));
      assert.equal(positions.at(-1), 1);
    });

    visit('gives up one model for another', async (page, status, shown) => {
      for (const slow of [2000, 2001]) await page.run(lookInPage, url('large.safetensors', `?slow=${slow}`));
      await sleep(300);
      // The end of the first one changes nothing of what is shown of the second one.
      assert.match(await status(/./), /^Reading /);
      assert.equal((await shown()).mayCancel, true);
      await page.run(lookInPage, url('hostile.safetensors'));
      await status(/^Read /);
      assert.equal((await shown()).tensors.length, 1);
    });

    visit('shows errors as text, and nothing of the model before', async (page, status, shown) => {
      await page.run(lookInPage, url('hostile.safetensors'));
      await status(/^Read /);
      for (const [name, words] of [['none.gguf', /404.*http_status/], ['page.gguf', /a web page, not a model.*html_page/]]) {
        await page.run(lookInPage, url(name));
        await status(words);
        const { isError, isFound, mayCancel } = await shown();
        assert.deepEqual([isError, isFound, mayCancel], [true, false, false]);
      }
      // And goes on as if nothing had happened.
      await page.run(lookInPage, url('large.safetensors'));
      await status(/^Read /);
      assert.equal((await shown()).isError, false);
    });

    visit('takes what a file says for text', async (page, status, shown) => {
      await page.run(lookInPage, url('hostile.safetensors'));
      await status(/^Read /);
      await page.run(clickInPage, '#load');
      await status(/^In memory: /);
      const { summary, tensors, statistics } = await shown();
      assert.equal(summary, `safetensors, ${HOSTILE}, ${grouped(SMALL.length)} parameters`);
      assert.deepEqual(tensors, [`${HOSTILE}, F32, 2 x ${SMALL.length / 2}`]);
      assertStatistics(statistics, HOSTILE, SMALL);
      assert.equal(await page.run(() => document.images.length), 0);
    });

    visit('has names for all that can be used, fits a phone, and is light or dark', async (page, status) => {
      await page.run(lookInPage, url('hostile.safetensors'));
      await status(/^Read /);
      await page.screenshot(path.join(made.folder, `${engine}.png`), { width: 360, height: 640 });
      const { unnamed, lang, scheme, width, room } = await page.run(() => ({
        unnamed: Array.from(document.querySelectorAll('input, select, progress, button'))
          .filter((one) => (one.matches('button') ? one.textContent.trim() === '' : one.labels.length === 0)).map(({ id }) => id),
        lang: document.documentElement.lang,
        scheme: getComputedStyle(document.documentElement).colorScheme,
        width: document.documentElement.scrollWidth,
        room: document.documentElement.clientWidth,
      }));
      assert.deepEqual([unnamed, lang, scheme], [[], 'en', 'light dark']);
      assert.ok(width <= room, `${width} in ${room}`);
    });
  });
}
