// An HTTP server for the tests of the package: files of some folders, on loopback, and on request
// the ways in which servers and networks go wrong. A behaviour is a parameter of the query, so that
// a test asks for it by the URL that it gives to the loader:
//
//   range=ignore      200 with everything where a range is asked for
//   range=wrong       206 whose Content-Range is one byte off
//   range=short       206 whose Content-Range promises twice what comes, with a clean end
//   length=none       chunked, no Content-Length
//   encoding=gzip     Content-Encoding (or deflate, br); a range is then one of the encoded bytes
//   stall=N           N bytes, then nothing, the connection open
//   cut=N             N bytes, then the connection is closed
//   slow=N            about N bytes per second
//   html=1            200 with a page instead of the file
//   status=404        that status instead of the file (or 403, 500)
//   redirect=1        302 to the same without this parameter (or loop: to itself)
//   etag=changing     another ETag for each request
//   cors=other        for pages of other origins, which see only what CORS shows without exposing
//   csp=strict        a policy that allows own scripts and WebAssembly, and no eval
//   coop=1            the headers of a cross-origin isolated page
//
// They combine. `/echo.html` is an empty page to start from.
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

// Parameters of other names are left alone: real addresses have them too (`?download=true`).
const BEHAVIOURS = {
  range: /^(ignore|wrong|short)$/,
  length: /^none$/,
  encoding: /^(gzip|deflate|br)$/,
  stall: /^\d{1,15}$/,
  cut: /^\d{1,15}$/,
  slow: /^[1-9]\d{0,14}$/,
  html: /^1$/,
  status: /^(403|404|500)$/,
  redirect: /^(1|loop)$/,
  etag: /^changing$/,
  cors: /^other$/,
  csp: /^strict$/,
  coop: /^1$/,
};

const ENCODERS = {
  gzip: () => zlib.createGzip({ level: 1 }),
  deflate: () => zlib.createDeflate({ level: 1 }),
  br: () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } }),
};

const PIECE = 256 * 1024;

const page = (title, body = '') =>
  `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n${body}`;
const ECHO = page('ballast');
const NOT_FOUND = page('404', '<p>not found\n');

/**
 * Starts a server of `roots`, an object of folders by the first segment of the path. `log` has one
 * entry { method, path, range, status, sent } for each request, `sent` being the bytes of the body
 * that the kernel took: up to a few megabytes of them may never reach a client that goes away.
 * It never keeps Node running, and closes itself when nothing was asked or sent for `idleSeconds`.
 */
export async function serve(roots, { idleSeconds = 120 } = {}) {
  const server = new Server(roots, idleSeconds);
  const { log } = server;
  const origin = await server.listen();
  return { origin, log, close: () => server.close() };
}

class Server {
  log = [];
  #roots;
  #origin;
  #http = http.createServer((request, response) => {
    this.#take(request, response).catch(() => response.destroy());
  });
  #idle;
  #closed;
  #tags = 0;
  #encoded = new Map();

  constructor(roots, idleSeconds) {
    const resolved = Object.entries(roots).map(([name, folder]) => [name, fs.realpathSync(folder)]);
    this.#roots = Object.fromEntries(resolved);
    this.#idle = setTimeout(() => this.close(), idleSeconds * 1000).unref();
    // A page may keep a connection for a later request longer than Node's five seconds.
    this.#http.keepAliveTimeout = 60_000;
    this.#http.on('connection', (socket) => socket.unref());
  }

  async listen() {
    this.#http.listen(0, '127.0.0.1');
    await once(this.#http, 'listening');
    this.#http.unref();
    this.#origin = `http://127.0.0.1:${this.#http.address().port}`;
    return this.#origin;
  }

  close() {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end() {
    clearTimeout(this.#idle);
    const closed = new Promise((resolve) => { this.#http.close(resolve); });
    this.#http.closeAllConnections();
    await closed;
    await Promise.allSettled([...this.#encoded.values()].map(async (file) => (await file).close()));
  }

  async #take(request, response) {
    this.#idle.refresh();
    const [pathname, query = ''] = split(request.url);
    // Asked for by browsers, by no test.
    if (pathname === '/favicon.ico') return response.writeHead(204).end();
    const { method, headers: { range } } = request;
    const entry = { method, path: pathname, range, status: 0, sent: 0 };
    this.log.push(entry);
    response.on('error', () => {});  // a client that went away; the sending sees it by itself
    let wants = Object.fromEntries(new URLSearchParams(query));
    const wrong = misfit(wants);
    if (wrong) wants = {};
    const answer = wrong
      ? text(400, `there is no such ${wrong}`)
      : await this.#answer(request, pathname, wants).catch((error) => text(500, `${error}`));
    entry.status = answer.status;
    response.writeHead(answer.status, { 'Cache-Control': 'no-store', ...policies(wants), ...answer.headers });
    await this.#send(response, method === 'HEAD' ? { length: 0 } : answer, wants, entry);
  }

  async #answer(request, pathname, wants) {
    if (request.method === 'OPTIONS') return { status: 204, headers: {}, length: 0 };
    if (!['GET', 'HEAD'].includes(request.method)) return text(405, 'GET and HEAD only');
    if (wants.redirect) return this.#redirect(request.url, pathname, wants);
    if (wants.html) return text(Number(wants.status ?? 200), NOT_FOUND, 'text/html; charset=utf-8');
    if (wants.status) return text(Number(wants.status), `status ${wants.status}`);
    if (pathname === '/echo.html') return text(200, ECHO, 'text/html; charset=utf-8');
    const file = await this.#find(pathname);
    return file.status ? file : this.#file(request, file, wants);
  }

  #redirect(url, pathname, { redirect, ...rest }) {
    const query = new URLSearchParams(rest).toString();
    const target = redirect === 'loop' ? url : pathname + (query && `?${query}`);
    return { ...text(302, 'elsewhere'), headers: { Location: this.#origin + target } };
  }

  /** The file that a path names, { file, stat }, or the answer that refuses it. */
  async #find(pathname) {
    let names;
    try {
      names = pathname.slice(1).split('/').map(decodeURIComponent);
    } catch {
      return text(400, 'malformed path');
    }
    const strange = (name) => ['', '.', '..'].includes(name) || /[/\\\0]/.test(name);
    if (names.some(strange)) return text(403, 'refused');
    const [root, ...rest] = names;
    if (!Object.hasOwn(this.#roots, root) || rest.length === 0) return text(404, 'not found');
    const file = await fs.promises.realpath(path.join(this.#roots[root], ...rest)).catch(() => null);
    if (!file) return text(404, 'not found');
    if (!file.startsWith(this.#roots[root] + path.sep)) return text(403, 'refused');
    const stat = await fs.promises.stat(file);
    return stat.isFile() ? { file, stat } : text(404, 'not found');
  }

  async #file(request, { file, stat }, wants) {
    const handle = wants.encoding ? await this.#encode(file, stat, wants.encoding) : undefined;
    const size = handle ? (await handle.stat()).size : stat.size;
    const tag = wants.etag === 'changing' ? `${++this.#tags}` : `${stat.size.toString(36)}-${stat.mtimeMs}`;
    const headers = {
      'Accept-Ranges': 'bytes',
      'Content-Length': size,
      'Content-Type': TYPES[path.extname(file).toLowerCase()] ?? 'application/octet-stream',
      ETag: `"${tag}${wants.encoding ? `-${wants.encoding}` : ''}"`,
    };
    if (wants.encoding) headers['Content-Encoding'] = wants.encoding;
    const whole = { status: 200, headers, file, handle, start: 0, length: size };
    const answer = ranged(request, wants, whole, size);
    if (wants.length === 'none') delete answer.headers['Content-Length'];
    return answer;
  }

  /** The encoded copy of a file, made once: its length must be known before its first byte is sent. */
  #encode(file, stat, encoding) {
    const key = [file, stat.size, stat.mtimeMs, encoding].join('\0');
    if (!this.#encoded.has(key)) this.#encoded.set(key, encode(file, ENCODERS[encoding]()));
    return this.#encoded.get(key);
  }

  async #send(response, answer, wants, entry) {
    const limit = Math.min(wants.cut ?? Infinity, wants.stall ?? Infinity, answer.length);
    const began = performance.now();
    response.flushHeaders();
    for await (const piece of limit > 0 ? pieces(answer, limit, wants.slow) : []) {
      if (!await write(response, piece)) return;
      this.#idle.refresh();
      entry.sent += piece.length;
      if (wants.slow) await sleep(began + (entry.sent / wants.slow) * 1000 - performance.now());
    }
    if (wants.cut !== undefined && limit === Number(wants.cut)) response.socket?.destroy();
    else if (wants.stall === undefined || limit < Number(wants.stall)) response.end();
  }
}

async function encode(file, encoder) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-server-'));
  const handle = await fs.promises.open(path.join(folder, 'encoded'), 'w+');
  // Without a name it is gone with the process, however that ends.
  fs.rmSync(folder, { recursive: true });
  await pipeline(fs.createReadStream(file), encoder, (source) => handle.writeFile(source));
  return handle;
}

function split(url) {
  const at = url.indexOf('?');
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)];
}

/** The name of a behaviour that is asked for in a way that it has not. */
function misfit(wants) {
  return Object.keys(BEHAVIOURS).find((name) => name in wants && !BEHAVIOURS[name].test(wants[name]));
}

function text(status, body, type = 'text/plain; charset=utf-8') {
  const bytes = Buffer.from(body);
  const headers = { 'Content-Type': type, 'Content-Length': bytes.length };
  return { status, headers, bytes, length: bytes.length };
}

/** The headers that are the page's or the origin's, not the file's. */
function policies(wants) {
  const headers = {};
  if (wants.csp) {
    // Images for the icon alone, which browsers ask for by themselves, sooner or later.
    headers['Content-Security-Policy'] =
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src 'self'; worker-src 'self'";
  }
  if (wants.coop) {
    headers['Cross-Origin-Opener-Policy'] = 'same-origin';
    headers['Cross-Origin-Embedder-Policy'] = 'require-corp';
  }
  if (wants.cors) {
    headers['Access-Control-Allow-Origin'] = '*';
    headers['Access-Control-Allow-Headers'] = '*';
  }
  return headers;
}

/** [first, last] of a header with one range; null where it is to be ignored, [] beyond the end. */
function parseRange(header, size) {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (!from && !to) return null;
  if (!from) return Number(to) > 0 && size > 0 ? [Math.max(size - Number(to), 0), size - 1] : [];
  if (to && Number(to) < Number(from)) return null;
  return Number(from) < size ? [Number(from), Math.min(to ? Number(to) : size - 1, size - 1)] : [];
}

/** The part of a whole answer that the request is after (RFC 9110, 14), or something like it. */
function ranged(request, wants, whole, size) {
  const { range, 'if-range': condition } = request.headers;
  const { headers } = whole;
  if (request.method === 'HEAD' || wants.range === 'ignore') return whole;
  if (condition !== undefined && condition !== headers.ETag) return whole;
  const part = parseRange(range, size);
  if (!part) return whole;
  if (part.length === 0) {
    const refused = text(416, 'beyond the end');
    Object.assign(refused.headers, { 'Content-Range': `bytes */${size}`, ETag: headers.ETag });
    return refused;
  }
  const [first, last] = part;
  const shift = wants.range === 'wrong' ? 1 : 0;
  // A Content-Length that is not met is the browser's to notice (see cut=N); this one is the loader's.
  const length = wants.range === 'short' ? Math.floor((last - first + 1) / 2) : last - first + 1;
  headers['Content-Range'] = `bytes ${first + shift}-${last + shift}/${size}`;
  headers['Content-Length'] = length;
  return { ...whole, status: 206, start: first, length };
}

/** The first `limit` bytes of an answer, in pieces that a slow connection sends twenty of in a second. */
async function* pieces({ bytes, file, handle, start = 0 }, limit, slow) {
  const most = slow ? Math.min(Math.max(Math.ceil(slow / 20), 1), PIECE) : PIECE;
  const opened = bytes ? undefined : handle ?? await fs.promises.open(file);
  try {
    for (let at = 0; at < limit;) {
      const wanted = Math.min(most, limit - at);
      const piece = bytes ? bytes.subarray(at, at + wanted) : await read(opened, start + at, wanted);
      if (piece.length === 0) throw new Error('the file has become shorter');
      at += piece.length;
      yield piece;
    }
  } finally {
    if (opened !== handle) await opened.close();
  }
}

async function read(handle, position, length) {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.allocUnsafe(length), position });
  return buffer.subarray(0, bytesRead);
}

/** Resolves when the kernel has taken the bytes: true, or false where the client is gone. */
function write(response, bytes) {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const gone = () => resolve(false);
    response.once('close', gone);
    response.write(bytes, (error) => {
      response.off('close', gone);
      resolve(!error);
    });
  });
}
