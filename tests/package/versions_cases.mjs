// A file on a server that is replaced between two requests: its parts are of one version, or refused. A part of
// node_test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { packageFolder, refusal, safetensorsOf, settled } from './support.mjs';

const ballast = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')).href);
const { open, inspect } = ballast;

const MIB = 1 << 20;
const AT = 'http://localhost/m.safetensors';
const OLD = 'Mon, 01 Jan 2024 00:00:00 GMT';
const NEW = 'Tue, 02 Jan 2024 00:00:00 GMT';
const LATER = 'Wed, 03 Jan 2024 00:00:00 GMT';
const LONGER = safetensorsOf({ w: Buffer.alloc(MIB, 0xbb), x: Buffer.alloc(10) });
const first = () => ({ bytes: safetensorsOf({ w: Buffer.alloc(MIB, 0xaa) }), headers: {} });
const second = (headers) => ({ bytes: safetensorsOf({ w: Buffer.alloc(MIB, 0xbb) }), headers });

/** A server of one file. `answer` may change what it says. */
class Server {
  file = first();
  asked = [];
  type = 'basic';

  answer = ({ range, condition }) => {
    const { bytes, headers } = this.file;
    const holds = condition === undefined || [headers.ETag, headers['Last-Modified']].includes(condition);
    if (!range || !holds) return new Response(bytes, { headers: { ...headers, 'Content-Length': bytes.length } });
    const [begin, end] = range;
    if (begin >= bytes.length) return new Response(null, { status: 416, headers: { 'Content-Range': `bytes */${bytes.length}` } });
    const last = Math.min(end, bytes.length - 1);
    return new Response(bytes.subarray(begin, last + 1), { status: 206, headers: { ...headers, 'Content-Range': `bytes ${begin}-${last}/${bytes.length}` } });
  };

  fetch = async (_, { headers }) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(headers.Range ?? '');
    const condition = headers['If-Range'];
    this.asked.push(condition);
    const response = this.answer({ range: match && [Number(match[1]), Number(match[2])], condition });
    Object.defineProperty(response, 'type', { value: this.type });
    return response;
  };
}

/** What reading a tensor ends with when the file is another one by then, and what If-Range was. */
async function replaced({ before, after = before, type = 'basic', bytes, answer }) {
  const server = new Server();
  server.type = type;
  server.file.headers = before;
  using head = await inspect(AT, server);
  server.file = second(after);
  if (bytes) server.file.bytes = bytes;
  if (answer) server.answer = answer(server.answer);
  const outcome = await head.tensor('w').read().catch((error) => error);
  return { outcome, condition: server.asked.at(-1) };
}

const STRONG = { ETag: '"a"' };
const WEAK = { ETag: 'W/"a"' };
const dated = (date, rest) => ({ 'Last-Modified': date, Date: LATER, ...rest });

const CHANGES = {
  'a strong ETag': { before: STRONG, after: { ETag: '"b"' } },
  'a weak ETag': { before: WEAK, after: { ETag: 'W/"b"' } },
  'no ETag, and a date': { before: dated(OLD), after: dated(NEW) },
  'no ETag, and a date that If-Range may not have': { before: { 'Last-Modified': OLD }, after: { 'Last-Modified': NEW } },
  'the same weak ETag, and a date': { before: dated(OLD, WEAK), after: dated(NEW, WEAK) },
  'an ETag at first': { before: STRONG, after: {} },
  'an ETag later': { before: {}, after: STRONG },
  'no more than another length': { before: {}, bytes: LONGER },
  'another origin, which hides the ETag': { before: { 'Last-Modified': OLD }, after: { 'Last-Modified': NEW }, type: 'cors' },
  'a shorter file': { before: {}, bytes: safetensorsOf({ w: Buffer.alloc(10) }) },
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`a file that is replaced on its server is refused: ${what}`, async () => {
    const { outcome: error } = await replaced(change);
    assert.ok(error instanceof ballast.SourceError, String(error));
    assert.equal(error.code, 'file_changed');
    assert.equal(error.file, AT);
    assert.ok(error.offset > 0 && error.expected > MIB);
  });
}

test('what a server ignores or leaves away is no change', async () => {
  const same = (rest) => ({ ...rest, bytes: first().bytes });
  const rows = {
    'nothing is told': same({ before: {} }),
    'a strong ETag, and the date of another machine': same({ before: dated(OLD, STRONG), after: dated(NEW, STRONG) }),
    'a date that is left away in answer to If-Range (RFC 9110, 15.3.7)': same({ before: dated(OLD), after: dated(OLD), answer: (usual) => (asked) => {
      const { body, status, headers } = usual(asked);
      headers.delete('last-modified');
      return new Response(body, { status, headers });
    } }),
  };
  for (const [what, change] of Object.entries(rows)) {
    const { outcome } = await replaced(change);
    assert.ok(outcome instanceof Uint8Array, `${what}: ${outcome}`);
    assert.ok(outcome.every((byte) => byte === 0xaa));
  }
  const whole = await replaced(same({ before: STRONG, answer: (usual) => () => usual({}) }));
  assert.equal(whole.outcome.code, 'bad_range'); // the same file, and no ranges any more
});

test('If-Range has strong validators only, and those of its own origin', async () => {
  const condition = async (before, type) => (await replaced({ before, type })).condition;
  assert.equal(await condition(STRONG), '"a"');
  assert.equal(await condition(dated(OLD, STRONG)), '"a"');
  assert.equal(await condition(WEAK), undefined);
  assert.equal(await condition(dated(OLD, WEAK)), undefined); // no date where there is an ETag
  assert.equal(await condition(dated(OLD)), OLD);
  assert.equal(await condition({ 'Last-Modified': OLD }), undefined); // nothing says how old it is
  assert.equal(await condition({ 'Last-Modified': OLD, Date: OLD }), undefined); // of this very second
  assert.equal(await condition({}), undefined);
  for (const before of [STRONG, dated(OLD)]) assert.equal(await condition(before, 'cors'), undefined); // would take a preflight
});

test('the tensors of a load by name are of the version that is there, or refused', async () => {
  for (const [bytes, isSame] of [[second().bytes, true], [safetensorsOf({ other: Buffer.alloc(MIB, 0xcc), w: Buffer.alloc(MIB, 0xbb) }), false]]) {
    const server = new Server();
    using head = await inspect(AT, server);
    server.file = { bytes, headers: STRONG };
    const outcome = await head.load({ tensors: ['w'] }).catch((error) => error);
    if (!isSame) assert.equal(outcome.code, 'file_changed', String(outcome));
    else assert.ok(outcome.tensor('w').bytes().every((byte) => byte === 0xbb));
  }
});

test('the signal of a Request counts, with its reason, beside that of the call', async () => {
  const server = new Server();
  const fetch = (request) => server.fetch(request.url, { headers: { Range: request.headers.get('range'), 'If-Range': request.headers.get('if-range') ?? undefined } });
  const reason = new Error('of the request');
  const later = () => new AbortController().signal;
  for (const load of [open, inspect]) {
    for (const signal of [undefined, later()]) {
      const aborted = new Request(AT, { signal: AbortSignal.abort(reason) });
      assert.equal(await settled(refusal(() => load(aborted, { fetch, signal })), load.name), reason);
      const own = new AbortController();
      const hanging = refusal(() => load(new Request(AT, { signal: own.signal }), { fetch: () => new Promise(() => {}), signal }));
      setTimeout(() => own.abort(reason), 10);
      assert.equal(await settled(hanging, load.name), reason);
      const call = new AbortController();
      setTimeout(() => call.abort('of the call'), 10);
      assert.equal(await settled(refusal(() => load(new Request(AT, { signal: later() }), { fetch: () => new Promise(() => {}), signal: call.signal })), load.name), 'of the call');
    }
  }
  const own = new AbortController();
  using head = await inspect(new Request(AT, { signal: own.signal }), { fetch });
  assert.equal((await head.tensor('w').read({ signal: later() })).length, MIB);
  own.abort(reason);
  assert.equal(await refusal(() => head.tensor('w').read({ signal: later() })), reason);
});
