// The server of the other tests does what they ask of it. Raw requests, since a client that follows,
// decodes or repairs would hide what is proven here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import { serve } from './server.mjs';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-server-test-'));
process.env.TMPDIR = scratch;  // what the server leaves in the temporary folder is seen at the end
const folder = path.join(scratch, 'models');
fs.mkdirSync(path.join(folder, 'deep er'), { recursive: true });
const SIZE = 100_000;
const bytes = Buffer.from(Array.from({ length: SIZE }, (_, i) => (i * i) >> 5));
for (const name of ['a.gguf', 'a.wasm', 'a.mjs', 'a.js', 'a.html', 'a.json', 'a.bin', 'deep er/ä.gguf']) {
  fs.writeFileSync(path.join(folder, name), bytes);
}
fs.writeFileSync(path.join(folder, 'empty'), '');
fs.writeFileSync(path.join(scratch, 'secret'), 'secret');
fs.mkdirSync(path.join(scratch, 'models-too'));
fs.writeFileSync(path.join(scratch, 'models-too/secret'), 'secret');
fs.symlinkSync(path.join(scratch, 'secret'), path.join(folder, 'out'));
fs.symlinkSync(scratch, path.join(folder, 'up'));
fs.symlinkSync('a.gguf', path.join(folder, 'inside'));

const server = await serve({ m: folder });
after(async () => {
  await server.close();
  fs.rmSync(scratch, { recursive: true });
});

/** One request as it is: { status, headers, body, whole, ms }, given up after `enough` bytes. */
function ask(url, { method = 'GET', headers = {}, range, enough = Infinity, origin = server.origin } = {}) {
  const { hostname, port } = new URL(origin);
  const began = performance.now();
  return new Promise((resolve, reject) => {
    if (range) headers = { ...headers, Range: `bytes=${range}` };
    const request = http.request({ hostname, port, method, path: url, headers, agent: false }, (response) => {
      const chunks = [];
      let length = 0;
      const done = () => resolve({
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(chunks),
        whole: response.complete,
        ms: performance.now() - began,
      });
      response.on('data', (chunk) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length >= enough) request.destroy();
      });
      response.on('error', () => {});
      response.on('close', done);
    });
    request.on('error', reject);
    request.end();
  });
}

const last = () => server.log.at(-1);

test('a file comes whole, with its length, type and ETag', async () => {
  const { status, headers, body, whole } = await ask('/m/a.gguf');
  assert.equal(status, 200);
  assert.ok(whole && body.equals(bytes));
  assert.equal(headers['content-length'], `${SIZE}`);
  assert.equal(headers['content-type'], 'application/octet-stream');
  assert.equal(headers['accept-ranges'], 'bytes');
  assert.match(headers.etag, /^"[^"]+"$/);
  assert.equal((await ask('/m/a.gguf')).headers.etag, headers.etag);
  assert.deepEqual(last(), { method: 'GET', path: '/m/a.gguf', range: undefined, status: 200, sent: SIZE });
});

test('the type follows the name', async () => {
  const types = {
    bin: 'application/octet-stream',
    html: 'text/html',
    js: 'text/javascript',
    json: 'application/json',
    mjs: 'text/javascript',
    wasm: 'application/wasm',
  };
  for (const [ending, type] of Object.entries(types)) {
    const { headers } = await ask(`/m/a.${ending}`, { method: 'HEAD' });
    assert.equal(headers['content-type'].split(';')[0], type, ending);
  }
});

test('names with spaces and letters beyond ASCII are found', async () => {
  assert.ok((await ask('/m/deep%20er/%C3%A4.gguf?download=true')).body.equals(bytes));
});

test('an empty file has no bytes and no ranges', async () => {
  const { status, headers, body } = await ask('/m/empty');
  assert.deepEqual([status, headers['content-length'], body.length], [200, '0', 0]);
  assert.equal((await ask('/m/empty', { range: '0-' })).status, 416);
  assert.equal((await ask('/m/empty', { range: '-5' })).status, 416);
});

test('HEAD has the headers of GET and no body', async () => {
  const { status, headers, body } = await ask('/m/a.gguf', { method: 'HEAD', range: '0-9' });
  assert.deepEqual([status, headers['content-length'], body.length], [200, `${SIZE}`, 0]);
  assert.deepEqual([last().method, last().sent], ['HEAD', 0]);
});

test('a range is that part of the file', async () => {
  const rows = [['0-0', 0, 0], ['5-99', 5, 99], ['99990-', 99990, 99999], ['-10', 99990, 99999],
    ['99990-200000', 99990, 99999], ['-200000', 0, 99999], ['0-99999', 0, 99999]];
  for (const [range, first, end] of rows) {
    const { status, headers, body } = await ask('/m/a.gguf', { range });
    assert.equal(status, 206, range);
    assert.equal(headers['content-range'], `bytes ${first}-${end}/${SIZE}`);
    assert.equal(headers['content-length'], `${end - first + 1}`);
    assert.ok(body.equals(bytes.subarray(first, end + 1)), range);
    assert.deepEqual([last().range, last().sent], [`bytes=${range}`, end - first + 1]);
  }
});

test('a range beyond the end is 416 and tells the size', async () => {
  for (const range of ['100000-', '100000-100001', '-0']) {
    const { status, headers } = await ask('/m/a.gguf', { range });
    assert.deepEqual([status, headers['content-range']], [416, `bytes */${SIZE}`], range);
  }
});

test('several ranges and malformed ones are answered with everything', async () => {
  for (const range of ['bytes=0-1,5-6', 'bytes=9-5', 'bytes=-', 'bytes=a-b', 'bytes=0-1x', 'lines=0-1']) {
    const { status, body } = await ask('/m/a.gguf', { headers: { Range: range } });
    assert.deepEqual([status, body.length], [200, SIZE], range);
  }
});

test('If-Range is heeded: another ETag brings everything', async () => {
  const { headers: { etag } } = await ask('/m/a.gguf', { method: 'HEAD' });
  assert.equal((await ask('/m/a.gguf', { range: '0-9', headers: { 'If-Range': etag } })).status, 206);
  const other = await ask('/m/a.gguf', { range: '0-9', headers: { 'If-Range': '"other"' } });
  assert.deepEqual([other.status, other.body.length], [200, SIZE]);
});

test('nothing outside the folders is served', async () => {
  const refused = [
    '/m/../secret', '/m/%2e%2e/secret', '/m/..%2fsecret', '/m/..%5csecret', '/m/deep%20er%2f..%2f..%2fsecret',
    '/m//a.gguf', '//m/a.gguf', '/m/./a.gguf', '/m/a.gguf%00', '/m/out', '/m/up/secret',
    '/m/up/models-too/secret', '/m/.%2e/secret', '/m/%2e%2e%5csecret', '/m/a.gguf%00/../../secret', '/m/deep%20er/', '/m/', '//secret',
    '/m/%2fetc%2fpasswd', `/m/${encodeURIComponent(path.join(scratch, 'secret'))}`, '/m/inside/../../secret', '/m/..',
  ];
  for (const url of refused) {
    const { status, body } = await ask(url);
    assert.equal(status, 403, url);
    assert.doesNotMatch(String(body), /secret/);
    assert.equal(last().sent, body.length);
  }
  const absent = [
    // Decoded once: what is left is a name.
    '/m/%252e%252e', '/m/%252e%252e%252fsecret', '/m/..%252fsecret', '/m/%c3%a4..', '/etc/passwd', '/m/~root', '/hasOwnProperty/a',
    '/m', '/x/a.gguf', '/__proto__/a', '/constructor/name', '/m/nothing', '/m/deep%20er', '/m-too/secret',
  ];
  for (const url of absent) assert.equal((await ask(url)).status, 404, url);
  for (const url of ['/m/%zz', '/m/%c0%ae%c0%ae', '/m/%c0%ae%c0%ae%c0%afsecret']) assert.equal((await ask(url)).status, 400, url);
  for (const url of ['http://127.0.0.1/m/../secret', 'file:///etc/passwd', `file://${path.join(scratch, 'secret')}`]) {
    const { status, body } = await ask(url);
    assert.ok(status >= 400, url);
    assert.doesNotMatch(String(body), /secret|root:/);
  }
});

test('whatever listens, in tests and in the demo, does so on loopback', () => {
  const root = process.env.BALLAST_SOURCE;
  const listening = [];
  for (const folder of ['tests', 'web', 'platform']) {
    for (const file of fs.readdirSync(path.join(root, folder), { recursive: true })) {
      if (/(^|\/)(node_modules|dist)\//.test(file) || !/\.(m?js|ts|tsx|py|sh)$/.test(file) || path.basename(file) === path.basename(import.meta.url)) continue;
      const text = fs.readFileSync(path.join(root, folder, file), 'utf8');
      for (const [call] of text.matchAll(/\.listen\([^)]*\)|preview: \{[^}]*\}|http\.server\b.*|HTTPServer\([^)]*\)|\.bind\(\([^)]*\)/g)) listening.push(`${file}: ${call}`);
    }
  }
  assert.ok(listening.length >= 3, listening.join('\n')); // that of the tests (through a method of its own), a browser's port, the demo's
  for (const one of listening.filter((call) => call !== 'package/server.mjs: .listen()')) assert.match(one, /127\.0\.0\.1|'::1'/);
});

test('a link that stays inside is served', async () => {
  assert.ok((await ask('/m/inside')).body.equals(bytes));
});

test('only GET, HEAD and OPTIONS are answered', async () => {
  for (const method of ['POST', 'PUT', 'DELETE']) {
    assert.equal((await ask('/m/a.gguf', { method })).status, 405, method);
  }
  assert.equal((await ask('/m/a.gguf', { method: 'OPTIONS' })).status, 204);
});

const skip = process.platform !== 'linux' && '127.0.0.2 is no address here';
test('it listens on 127.0.0.1 only', { skip }, async () => {
  const { port } = new URL(server.origin);
  const outcome = await new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.2');
    socket.on('connect', () => resolve('connected'));
    socket.on('error', (error) => resolve(error.code));
  });
  assert.equal(outcome, 'ECONNREFUSED');
});

test('range=ignore answers a range with everything', async () => {
  const { status, headers, body } = await ask('/m/a.gguf?range=ignore', { range: '5-9' });
  assert.deepEqual([status, headers['content-range'], body.length], [200, undefined, SIZE]);
});

test('range=wrong has the right bytes under a Content-Range that is one off', async () => {
  const { status, headers, body } = await ask('/m/a.gguf?range=wrong', { range: '5-9' });
  assert.deepEqual([status, headers['content-range']], [206, `bytes 6-10/${SIZE}`]);
  assert.ok(body.equals(bytes.subarray(5, 10)));
});

test('range=short ends cleanly after half of what its Content-Range promises', async () => {
  const { status, headers, body, whole } = await ask('/m/a.gguf?range=short', { range: '0-99' });
  assert.deepEqual([status, headers['content-range'], whole], [206, `bytes 0-99/${SIZE}`, true]);
  assert.ok(body.equals(bytes.subarray(0, 50)));
  assert.equal((await ask('/m/a.gguf?range=short')).body.length, SIZE);
});

test('length=none is chunked, whole or in part', async () => {
  const { headers, body } = await ask('/m/a.gguf?length=none');
  assert.deepEqual([headers['content-length'], headers['transfer-encoding']], [undefined, 'chunked']);
  assert.ok(body.equals(bytes));
  const part = await ask('/m/a.gguf?length=none', { range: '0-9' });
  assert.deepEqual([part.status, part.headers['content-length'], part.body.length], [206, undefined, 10]);
  assert.equal((await ask('/m/a.gguf?length=none', { method: 'HEAD' })).headers['content-length'], undefined);
});

test('encoding= sends encoded bytes and their length', async () => {
  const decoders = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, br: zlib.brotliDecompressSync };
  const plain = await ask('/m/a.gguf', { method: 'HEAD' });
  for (const [encoding, decode] of Object.entries(decoders)) {
    const { headers, body } = await ask(`/m/a.gguf?encoding=${encoding}`);
    assert.equal(headers['content-encoding'], encoding);
    assert.equal(headers['content-length'], `${body.length}`);
    assert.notEqual(headers.etag, plain.headers.etag);
    assert.ok(body.length !== SIZE && decode(body).equals(bytes), encoding);
    const part = await ask(`/m/a.gguf?encoding=${encoding}`, { range: '10-19' });
    assert.equal(part.headers['content-range'], `bytes 10-19/${body.length}`);
    assert.ok(part.body.equals(body.subarray(10, 20)));
    const unknown = await ask(`/m/a.gguf?encoding=${encoding}&length=none&range=ignore`, { range: '10-19' });
    assert.deepEqual([unknown.status, unknown.headers['content-length']], [200, undefined]);
    assert.ok(decode(unknown.body).equals(bytes), encoding);
  }
});

test('stall=N sends N bytes and keeps the connection open', async () => {
  const stalled = ask('/m/a.gguf?stall=1000', { enough: 2000 });
  assert.equal(await Promise.race([stalled, sleep(300, 'still waiting')]), 'still waiting');
  assert.equal(last().sent, 1000);
  assert.equal((await ask('/m/a.gguf?stall=1000', { enough: 1000 })).body.length, 1000);
  const apart = await serve({ m: folder });
  const cut = ask('/m/a.gguf?stall=0', { origin: apart.origin });
  await sleep(100);
  await apart.close();  // the only thing that ends it
  assert.deepEqual([(await cut).body.length, (await cut).whole], [0, false]);
});

test('cut=N sends N bytes and closes the connection', async () => {
  for (const rest of ['', '&length=none']) {
    for (const size of [0, 1, 70_000]) {
      const { status, body, whole } = await ask(`/m/a.gguf?cut=${size}${rest}`);
      assert.deepEqual([status, whole], [200, false]);
      assert.ok(body.equals(bytes.subarray(0, size)), `${size}`);
      assert.equal(last().sent, size);
    }
  }
  const part = await ask('/m/a.gguf?cut=10', { range: '100-199' });
  assert.ok(part.status === 206 && !part.whole && part.body.equals(bytes.subarray(100, 110)));
  const beyond = await ask(`/m/a.gguf?cut=${SIZE + 1}`);
  assert.ok(beyond.whole && beyond.body.equals(bytes));
});

test('slow=N takes the time that N bytes per second take', async () => {
  const { ms, body, whole } = await ask('/m/a.gguf?slow=200000');
  assert.ok(whole && body.equals(bytes));
  assert.ok(ms > 400 && ms < 2000, `${ms} ms`);
});

test('html=1 is a page in the place of the file, also where there is none', async () => {
  for (const url of ['/m/a.gguf?html=1', '/m/nothing?html=1']) {
    const { status, headers, body } = await ask(url, { range: '0-9' });
    assert.deepEqual([status, headers['content-type']], [200, 'text/html; charset=utf-8']);
    assert.match(String(body), /^<!doctype html>[^]*not found/);
  }
});

test('status= is that status', async () => {
  for (const status of [403, 404, 500]) {
    assert.equal((await ask(`/m/a.gguf?status=${status}`)).status, status);
  }
  const page = await ask('/m/a.gguf?status=404&html=1');
  assert.deepEqual([page.status, page.headers['content-type']], [404, 'text/html; charset=utf-8']);
});

test('redirect=1 leads to the same without it, redirect=loop to itself', async () => {
  const { status, headers } = await ask('/m/a.gguf?redirect=1&encoding=br');
  assert.deepEqual([status, headers.location], [302, `${server.origin}/m/a.gguf?encoding=br`]);
  assert.equal((await ask('/m/a.gguf?redirect=1')).headers.location, `${server.origin}/m/a.gguf`);
  const loop = await ask('/m/a.gguf?redirect=loop');
  assert.deepEqual([loop.status, loop.headers.location], [302, `${server.origin}/m/a.gguf?redirect=loop`]);
});

test('etag=changing is another ETag for each request, so that no If-Range holds', async () => {
  const first = await ask('/m/a.gguf?etag=changing', { range: '0-9' });
  const condition = { 'If-Range': first.headers.etag };
  const second = await ask('/m/a.gguf?etag=changing', { range: '10-19', headers: condition });
  assert.notEqual(second.headers.etag, first.headers.etag);
  assert.deepEqual([first.status, second.status], [206, 200]);
});

test('cors=other allows every origin and exposes nothing', async () => {
  const { headers } = await ask('/m/a.gguf?cors=other&encoding=gzip', { range: '0-9' });
  assert.equal(headers['access-control-allow-origin'], '*');
  assert.equal(headers['access-control-expose-headers'], undefined);
  assert.equal(headers['content-length'], '10');
  const preflight = await ask('/m/a.gguf?cors=other', { method: 'OPTIONS' });
  assert.deepEqual([preflight.status, preflight.headers['access-control-allow-headers']], [204, '*']);
  assert.equal((await ask('/m/a.gguf')).headers['access-control-allow-origin'], undefined);
});

test('csp=strict and coop=1 are headers of any answer', async () => {
  for (const url of ['/echo.html', '/m/a.gguf', '/m/nothing']) {
    const { headers } = await ask(`${url}?csp=strict&coop=1`);
    assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self' 'wasm-unsafe-/);
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['cross-origin-embedder-policy'], 'require-corp');
  }
  assert.equal((await ask('/echo.html')).headers['content-security-policy'], undefined);
});

test('echo.html is an empty page with a title', async () => {
  const { status, headers, body } = await ask('/echo.html');
  assert.deepEqual([status, headers['content-type']], [200, 'text/html; charset=utf-8']);
  assert.match(String(body), /<title>ballast<\/title>\n$/);
});

test('a behaviour that does not exist is refused, other parameters are not', async () => {
  const queries = [
    'range=x', 'encoding=zstd', 'stall=-1', 'cut=x', 'slow=0', 'status=200', 'csp=1', 'redirect=',
  ];
  for (const query of queries) {
    assert.equal((await ask(`/m/a.gguf?${query}`)).status, 400, query);
  }
  assert.equal((await ask('/m/a.gguf?download=true&v=1')).status, 200);
});

test('a file of 512 MiB is streamed, and the log tells how much of it', async () => {
  const big = path.join(folder, 'big');
  const size = 512 * 2 ** 20;
  fs.closeSync(fs.openSync(big, 'w'));
  fs.truncateSync(big, size);
  const before = process.memoryUsage.rss();
  let peak = 0;
  const sampler = setInterval(() => { peak = Math.max(peak, process.memoryUsage.rss()); }, 20);
  const received = await new Promise((resolve, reject) => {
    let length = 0;
    const request = http.get(`${server.origin}/m/big`, { agent: false }, (response) => {
      response.on('data', (chunk) => { length += chunk.length; });
      response.on('end', () => resolve(length));
    });
    request.on('error', reject);
  });
  clearInterval(sampler);
  assert.deepEqual([received, last().sent], [size, size]);
  assert.ok(peak - before < size / 2, `${peak - before} bytes more`);
  await ask('/m/big', { enough: 1 });
  await sleep(100);
  assert.ok(last().sent < size / 8, `${last().sent} bytes sent to a client that was gone after one`);
  fs.rmSync(big);
});

test('without requests it closes itself, and a request puts that off', async () => {
  const brief = await serve({ m: folder }, { idleSeconds: 0.6 });
  for (let i = 0; i < 3; ++i) {
    await sleep(300);
    assert.equal((await ask('/m/a.gguf', { origin: brief.origin })).status, 200);
  }
  await sleep(900);
  await assert.rejects(ask('/m/a.gguf', { origin: brief.origin }), { code: 'ECONNREFUSED' });
  await brief.close();
});

test('closing ends open connections and files, and nothing of it had a name', async () => {
  const open = () => fs.existsSync('/proc/self/fd') ? fs.readdirSync('/proc/self/fd').length : 0;
  const before = [open(), fs.readdirSync(scratch)];
  const apart = await serve({ m: folder });
  const stalled = ask('/m/a.gguf?stall=10&encoding=gzip', { origin: apart.origin });
  await sleep(200);
  assert.deepEqual(fs.readdirSync(scratch), before[1]);
  await Promise.all([apart.close(), apart.close()]);
  assert.equal((await stalled).whole, false);
  await sleep(50);
  assert.deepEqual([open(), fs.readdirSync(scratch)], before);
});

test('a forgotten server does not keep Node running', () => {
  const script = `
    import { serve } from '${new URL('server.mjs', import.meta.url)}';
    const { origin } = await serve({ m: process.argv[1] });
    const response = await fetch(origin + '/m/a.gguf?encoding=gzip');
    console.log((await response.arrayBuffer()).byteLength);`;
  const before = fs.readdirSync(scratch).length;
  const args = ['--input-type=module', '-e', script, folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { timeout: 20_000 });
  assert.deepEqual([status, String(stdout), String(stderr)], [0, `${SIZE}\n`, '']);
  assert.equal(fs.readdirSync(scratch).length, before);
});
