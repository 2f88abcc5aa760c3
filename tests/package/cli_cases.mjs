// The command of the package with URLs of any name. A part of node_test.mjs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { packageFolder, read, sample, temporaryFolder } from './support.mjs';

const GGUF = 'tiny.gguf';
let server;
let origin;
before(async () => {
  const bytes = read(GGUF);
  server = http.createServer(({ url, headers: { range } }, response) => {
    const [, first, last] = /(\d+)-(\d+)/.exec(range ?? '') ?? [];
    if (first === undefined || url.startsWith('/whole/')) return response.writeHead(200).end(bytes);
    const end = Math.min(Number(last), bytes.length - 1);
    return response.writeHead(206, { 'Content-Range': `bytes ${first}-${end}/${bytes.length}` }).end(bytes.subarray(Number(first), end + 1));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
});

function run(args, env = {}) {
  return new Promise((resolve) => {
    execFile(process.execPath, [path.join(packageFolder, 'dist/cli.js'), ...args], { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      resolve({ status: error ? error.code : 0, stdout, stderr });
    });
  });
}

test('the command inspects a URL whatever its name is', async () => {
  const drop = (text) => text.replace(/^ {2}"runtime": .*$/m, '');
  const truth = drop((await run(['inspect', '--json', sample(GGUF)])).stdout);
  assert.ok(truth.includes('"tensors"'));
  const names = ['model.gguf', 'a%00b', '--help', '--json', '-', '-x', '--', '', '..', '..%2F', '..%2f..%2fetc', '%2e%2e%5c', 'x'.repeat(300), '%C3%A4'.repeat(200), 'a%2Fb',
    'm%0Aevil%1b%5b31m.gguf', '%ff'];
  for (const folder of ['', 'whole/']) {
    const answers = await Promise.all(names.map((name) => run(['inspect', '--json', `${origin}/${folder}${name}`])));
    for (const [i, { status, stdout, stderr }] of answers.entries()) assert.deepEqual([status, stderr, drop(stdout)], [0, '', truth], names[i]);
  }
});

test('the command says what the system refuses, without a stack', async (t) => {
  const missing = path.join(temporaryFolder(t), 'no such folder');
  const { status, stderr } = await run(['inspect', `${origin}/model.gguf`], { TMPDIR: missing, TEMP: missing, TMP: missing });
  assert.equal(status, 1);
  assert.match(stderr, /^ballast: .*ENOENT.*\n$/);
});

test('the command leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['model.gguf', 'whole/model.gguf']) {
    assert.equal((await run(['inspect', `${origin}/${name}`], { TMPDIR: folder })).status, 0);
    assert.deepEqual(fs.readdirSync(folder), []);
  }
});
