// Each engine that is installed does what browsers.mjs promises of it, and leaves nothing behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { available, ENGINES, launch, missing } from './browsers.mjs';
import { serve } from './server.mjs';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-browsers-test-'));
const folder = path.join(scratch, 'pages');
const temporary = path.join(scratch, 't');
fs.mkdirSync(folder);
fs.mkdirSync(temporary);
process.env.TMPDIR = temporary;  // what browsers leave there is seen
fs.writeFileSync(path.join(folder, 'data.bin'), Buffer.alloc(100_000, 7));

// (module (func (export "answer") (result i32) i32.const 42))
const ANSWER = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0,
  7, 10, 1, 6, 97, 110, 115, 119, 101, 114, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11,
];
fs.writeFileSync(path.join(folder, 'answer.wasm'), Buffer.from(ANSWER));
fs.writeFileSync(path.join(folder, 'policy.mjs'), `
  export async function answer(url) {
    const { instance } = await WebAssembly.instantiateStreaming(fetch(url));
    return instance.exports.answer();
  }
  export function makeFunction() {
    return new Function('return 1')();
  }`);
fs.writeFileSync(path.join(folder, 'opfs.mjs'), `
  async function roundTrip() {
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle('probe', { create: true });
    const handle = await file.createSyncAccessHandle();
    handle.write(new Uint8Array([1, 2, 3]), { at: 0 });
    const memory = new WebAssembly.Memory({ initial: 1 });
    const view = new Uint8Array(memory.buffer, 16, 3);
    const got = handle.read(view, { at: 0 });
    handle.close();
    return got === 3 && view.join() === '1,2,3' ? 'yes, into wasm memory' : 'wrong bytes';
  }
  roundTrip().then(postMessage, (error) => postMessage('no: ' + error.name + ': ' + error.message));`);

const server = await serve({ p: folder });
const { origin } = server;
// All that is waited for comes before the first test: the runner takes a pause for the end.
const lacking = {};
for (const engine of ENGINES) lacking[engine] = await missing(engine);
after(async () => {
  await server.close();
  fs.rmSync(scratch, { recursive: true });
});

/** Alive, that is neither gone nor a zombie that waits for its parent. */
function alive(pid) {
  try {
    return !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The processes that were started with a temporary folder of this test. */
function marked() {
  return fs.readdirSync('/proc').filter((pid) => {
    try {
      const environment = fs.readFileSync(`/proc/${pid}/environ`, 'utf8');
      return environment.includes(`BALLAST_BROWSER=${temporary}`) && alive(pid);
    } catch {
      return false;
    }
  });
}

/** What a script prints in a Node of its own. */
async function saidBy(script, environment) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  const said = Buffer.concat(await child.stdout.toArray()).toString();
  await exited;
  return said;
}

async function probe(at) {
  const attempt = async (action) => {
    try {
      return await action();
    } catch (error) {
      return `no: ${error.name}: ${error.message}`;
    }
  };
  const readInto = async (stream) => {
    const reader = stream.getReader({ mode: 'byob' });
    const { value } = await reader.read(new Uint8Array(1000));
    await reader.cancel();
    return value.byteLength > 0 ? 'yes' : 'no bytes';
  };
  const formats = ['gzip', 'deflate', 'deflate-raw', 'brotli', 'zstd'].filter((format) => {
    try {
      return new DecompressionStream(format);
    } catch {
      return false;
    }
  });
  // (module (memory i64 1))
  const memory64 = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 4, 1]);
  return {
    'secure context': isSecureContext,
    'BYOB fetch': await attempt(async () => readInto((await fetch(`${at}/p/data.bin`)).body)),
    'BYOB Blob stream': await attempt(() => readInto(new Blob([new Uint8Array(5000)]).stream())),
    'OPFS in a page': await attempt(async () => (await navigator.storage.getDirectory()).kind),
    'OPFS sync handle in a worker': await attempt(() => new Promise((resolve) => {
      const worker = new Worker(`${at}/p/opfs.mjs`, { type: 'module' });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => resolve(`no: ${message}`);
    })),
    memory64: WebAssembly.validate(memory64),
    'wasm32 memory of 2 GiB': await attempt(() => new WebAssembly.Memory({ initial: 32768 }).buffer !== null),
    Float16Array: typeof Float16Array === 'function',
    JSPI: typeof WebAssembly.Suspending === 'function',
    DecompressionStream: formats.join(' '),
  };
}

for (const engine of ENGINES) {
  describe(engine, { skip: lacking[engine] || false }, () => {
    let browser;
    let page;
    after(() => browser?.close());

    test('it starts and says its version', async (t) => {
      const { version, path: file } = await available(engine);
      const began = performance.now();
      browser = await launch(engine);
      page = await browser.page(`${origin}/echo.html`);
      const ms = Math.round(performance.now() - began);
      t.diagnostic(`${engine} ${browser.version}, ${file}: first page after ${ms} ms`);
      assert.equal(browser.engine, engine);
      assert.match(browser.version, /^\d+\.\d+/);
      assert.equal(parseInt(browser.version, 10), parseInt(version, 10));
    });

    test('a function runs in the page with its arguments and its result comes back', async () => {
      assert.equal(await page.run(() => document.title), 'ballast');
      const given = { a: [1, 'ä\u2028"`${', null], b: { c: true } };
      assert.deepEqual(await page.run(async (one, two) => [two, one], given, 2.5), [2.5, given]);
      assert.equal(await page.run(() => undefined), undefined);
      const length = async (url) => (await (await fetch(url)).arrayBuffer()).byteLength;
      assert.equal(await page.run(length, `${origin}/p/data.bin`), 100_000);
    });

    test('what is thrown there is thrown here, with name, message and code', async () => {
      const far = () => { throw new RangeError('too far'); };
      await assert.rejects(page.run(far), { name: 'RangeError', message: 'too far' });
      const coded = async (code) => {
        await null;
        throw Object.assign(new Error('a code'), { name: 'BallastError', code });
      };
      const expected = { name: 'BallastError', message: 'a code', code: 'bad_magic' };
      await assert.rejects(page.run(coded, 'bad_magic'), expected);
      await assert.rejects(page.run(() => { throw 'text'; }), { message: 'text' });
      await assert.rejects(page.run(() => 1n), { name: 'TypeError' });
      assert.equal(await page.run(() => 'and afterwards all is well'), 'and afterwards all is well');
    });

    test('an error of the page that nothing catches is in errors', async () => {
      assert.deepEqual(page.errors, []);
      await page.run(async () => {
        setTimeout(() => { throw new TypeError('from a timer'); });
        await new Promise((resolve) => setTimeout(resolve, 100));
      });
      for (let i = 0; i < 20 && page.errors.length === 0; ++i) await sleep(50);
      assert.equal(page.errors.length, 1);
      assert.match(page.errors[0], /TypeError: from a timer/);
    });

    test('WebAssembly runs under a strict policy, and eval does not', async () => {
      const strict = await browser.page(`${origin}/echo.html?csp=strict`);
      const policed = async (at, name) => (await import(`${at}/p/policy.mjs`))[name](`${at}/p/answer.wasm`);
      assert.equal(await strict.run(policed, origin, 'answer'), 42);
      assert.deepEqual(strict.errors, []);
      await assert.rejects(strict.run(policed, origin, 'makeFunction'), { name: 'EvalError' });
      await strict.run(() => new Promise((resolve) => setTimeout(resolve, 100)));
      assert.match(strict.errors.join(), /policy violation: script-src/);
      await strict.close();
    });

    test('what it can do is known', async (t) => {
      const found = await page.run(probe, origin);
      for (const [feature, answer] of Object.entries(found)) t.diagnostic(`${engine}: ${feature}: ${answer}`);
      assert.equal(found['secure context'], true);
    });

    test('a page with the headers for it is cross-origin isolated', async (t) => {
      const isolated = await browser.page(`${origin}/echo.html?coop=1`);
      assert.equal(await page.run(() => crossOriginIsolated), false);
      assert.equal(await isolated.run(() => crossOriginIsolated), true);
      const shared = await isolated.run(() => typeof SharedArrayBuffer);
      t.diagnostic(`${engine}: SharedArrayBuffer there: ${shared}`);
      await isolated.close();
    });

    test('two pages are apart and run at once', async () => {
      const other = await browser.page(`${origin}/echo.html`);
      await page.run(() => { globalThis.mine = 1; });
      assert.equal(await other.run(() => typeof globalThis.mine), 'undefined');
      const both = await Promise.all([page, other].map((one) => one.run(async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return typeof globalThis.mine;
      })));
      assert.deepEqual(both, ['number', 'undefined']);
      await other.close();
      assert.equal(await page.run(() => globalThis.mine), 1);
    });

    test('files are given to an input', async () => {
      await page.run(() => { document.body.innerHTML = '<input type="file" multiple>'; });
      await page.setFiles('input', [path.join(folder, 'answer.wasm')]);
      // They take the place of those that were there.
      await page.setFiles('input', [path.join(folder, 'data.bin'), path.join(folder, 'answer.wasm')]);
      const seen = await page.run(async () => {
        const { files } = document.querySelector('input');
        const sizes = [...files].map(async (file) => [file.name, (await file.arrayBuffer()).byteLength]);
        return Promise.all(sizes);
      });
      assert.deepEqual(seen, [['data.bin', 100_000], ['answer.wasm', ANSWER.length]]);
      await assert.rejects(page.setFiles('#nothing', [path.join(folder, 'data.bin')]));
    });

    test('a screenshot has the size that was asked for', async () => {
      const file = path.join(scratch, `${engine}.png`);
      await page.screenshot(file, { width: 600, height: 400 });
      const image = fs.readFileSync(file);
      assert.equal(image.toString('latin1', 1, 4), 'PNG');
      assert.deepEqual([image.readUInt32BE(16), image.readUInt32BE(20)], [600, 400]);
    });

    test('memory that a page takes is seen in its renderer', async (t) => {
      const before = await browser.memory();
      assert.ok(before.total > 50 * 2 ** 20, `${before.total}`);
      assert.ok(before.renderer > 0 && before.renderer < before.total);
      await page.run(() => {
        globalThis.memory = new WebAssembly.Memory({ initial: 3200 });
        new Uint8Array(globalThis.memory.buffer).fill(1);
      });
      const { total, renderer, processes } = await browser.memory();
      const mib = (bytes) => Math.round(bytes / 2 ** 20);
      for (const { kind, name, pss } of processes) t.diagnostic(`${engine}: ${kind} ${name} ${mib(pss)} MiB`);
      for (const grown of [renderer - before.renderer, total - before.total]) {
        assert.ok(grown > 180 * 2 ** 20 && grown < 300 * 2 ** 20, `${mib(grown)} MiB more`);
      }
    });

    test('a function that takes too long is given up, with a message that says whose', async () => {
      const slow = await browser.page(`${origin}/echo.html`);
      slow.run.timeout = 500;
      const never = () => new Promise(() => {});
      await assert.rejects(slow.run(never), { message: new RegExp(`^${engine}: run\\(never\\).* 0\\.5 s`) });
      assert.equal(await page.run(() => 1), 1);
    });

    test('after close nothing is alive and nothing is left', async () => {
      const pids = (await browser.memory()).processes.map(({ pid }) => pid);
      assert.ok(pids.length > 1 && pids.every(alive) && marked().length > 0);
      await Promise.all([browser.close(), browser.close()]);
      assert.deepEqual([pids.filter(alive), marked(), fs.readdirSync(temporary)], [[], [], []]);
      await assert.rejects(page.run(() => 1));
    });

    test('nothing is left when Node ends without closing', async () => {
      const endings = ['process.exit(3)', 'process.kill(process.pid, "SIGTERM")', 'throw new Error("x")'];
      for (const ending of endings) {
        const script = `
          import { launch } from '${new URL('browsers.mjs', import.meta.url)}';
          await launch('${engine}');
          console.log('launched');
          ${ending}`;
        assert.equal(await saidBy(script), 'launched\n');
        for (let i = 0; i < 40 && marked().length > 0; ++i) await sleep(50);
        assert.deepEqual([marked(), fs.readdirSync(temporary)], [[], []], ending);
      }
    });

    test('a browser that does not start is an error in time, and is ended', async () => {
      const fake = path.join(scratch, 'fake.sh');
      const does = 'if [ "$1" = --version ]; then echo 1.2.3; else sleep 600; fi';
      fs.writeFileSync(fake, `#!/bin/sh\n${does}\n`, { mode: 0o755 });
      const name = engine === 'webkit' ? 'BALLAST_WEBKIT_DRIVER' : `BALLAST_${engine.toUpperCase()}`;
      const script = `
        import { launch } from '${new URL('browsers.mjs', import.meta.url)}';
        await launch('${engine}', { timeout: 1500 }).catch((error) => console.log(error.message));`;
      assert.match(await saidBy(script, { [name]: fake }), new RegExp(`^${engine}: launching`));
      assert.deepEqual([marked(), fs.readdirSync(temporary)], [[], []]);
    });
  });
}

test('an engine that does not exist is refused', async () => {
  assert.equal(await available('presto'), false);
  await assert.rejects(launch('presto'), /presto/);
});
