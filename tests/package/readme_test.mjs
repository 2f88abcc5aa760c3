// What the READMEs show in JavaScript, run in Node with the installed package: the package's own, and the blocks
// of the project's that are marked `in package`. Addresses at example.com are those of a local server.
//
//   <!-- test: NAME -->      js: a module of its own; sh: run by sh where the package is installed; every line must succeed
//   <!-- output: NAME -->    what that test prints, where "..." stands for the rest of a line
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { serve } from './server.mjs';
import { BALLAST_INSTALLED, BALLAST_SOURCE, sample } from './support.mjs';

const run = promisify(execFile);
const BLOCK = /^<!-- (test|output): *([\w.-]+)( in package)? *-->\n\s*^```(\w*)\n([^]*?)^```$/gm;

function blocksOf(file, isWanted) {
  const text = fs.readFileSync(path.join(BALLAST_SOURCE, file), 'utf8');
  const found = Array.from(text.matchAll(BLOCK), ([, kind, name, place, language, body]) => ({ kind, name, place, language, body }));
  const wanted = found.filter(isWanted);
  const outputs = new Map(wanted.filter(({ kind }) => kind === 'output').map(({ name, body }) => [name, body]));
  return wanted.filter(({ kind }) => kind === 'test').map((block) => ({ ...block, file, output: outputs.get(block.name) }));
}

const blocks = [
  ...blocksOf('web/README.md', () => true),
  ...blocksOf('README.md', ({ place }) => place !== undefined),
];

let server;
let folder;
before(async () => {
  folder = fs.mkdtempSync(path.join(BALLAST_INSTALLED, 'readme-'));
  for (const format of ['gguf', 'safetensors']) fs.copyFileSync(sample(`tiny.${format}`), path.join(folder, `model.${format}`));
  server = await serve({ models: folder });
});
after(async () => {
  await server.close();
  fs.rmSync(folder, { recursive: true });
});

test('there is something to run', () => {
  assert.ok(blocks.length >= 6, String(blocks.length));
  const marks = fs.readFileSync(path.join(BALLAST_SOURCE, 'web/README.md'), 'utf8').match(/^\s*<!--\s*(test|output)\b/gm);
  assert.equal(blocksOf('web/README.md', () => true).flatMap(({ output }) => (output === undefined ? [0] : [0, 0])).length, marks.length);
});

for (const { file, name, language, body, output } of blocks) {
  test(`${file}: ${name}`, async () => {
    const text = body.replaceAll('https://example.com', `${server.origin}/models`);
    const script = path.join(folder, `${name}.${language === 'js' ? 'mjs' : language}`);
    fs.writeFileSync(script, text);
    const program = { js: [process.execPath], sh: ['sh', '-e'] }[language] ?? assert.fail(`a block in ${language}`);
    const { stdout } = await run(program[0], [...program.slice(1), script], { cwd: folder, env: { ...process.env, npm_config_offline: 'true' } });
    assert.ok(stdout.length > 0 || output === '');
    if (output === undefined) return;
    const expected = output.trimEnd().split('\n');
    const printed = stdout.trimEnd().split('\n');
    assert.equal(printed.length, expected.length, stdout);
    expected.forEach((line, i) => {
      if (line.endsWith('...')) assert.ok(printed[i].startsWith(line.slice(0, -3)), printed[i]);
      else assert.equal(printed[i], line);
    });
  });
}
