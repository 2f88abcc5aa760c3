// Programs of users of the package, built from its packed tarball as the README says, without settings that
// it does not tell: by bundlers, for browsers under a strict policy, and by the TypeScript compiler.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import zlib from 'node:zlib';
import { launch, missing } from './browsers.mjs';
import { serve } from './server.mjs';
import { BALLAST_INSTALLED, BALLAST_SAMPLES, BALLAST_SOURCE, inspected, packageFolder, read, sample } from './support.mjs';

const GGUF = 'tiny.gguf';
const MODULES = ['ballast.wasm', 'ballast-64.wasm', 'ballast-all.wasm', 'ballast-values.wasm'];

const tool = (name) => path.join(BALLAST_SOURCE, 'web/node_modules/.bin', name);
// Beside the node_modules that the tarball was installed into.
const work = fs.mkdtempSync(path.join(BALLAST_INSTALLED, 'consumers-'));
after(() => fs.rmSync(work, { recursive: true, force: true }));

/** A folder with these files, by name. */
function project(name, files) {
  const folder = path.join(work, name);
  fs.mkdirSync(folder);
  for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, file), text);
  return folder;
}

function run(folder, program, ...args) {
  const { status, stdout, stderr } = spawnSync(tool(program), args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}\n${stdout}${stderr}`);
}

const CALLS = ["'/samples/tiny.gguf'", "'/made/tiny.gguf.gz'", "'/made/tiny.gguf.lz4'", "'/samples/tiny.gguf', { bits: 64 }"];

/** A program that opens what it is told, and leaves what it found where the test looks. */
const program = (imports, calls = CALLS) => `${imports}
async function look(url, options) {
  const model = await open(url, options);
  const head = await inspect(url, options);
  const names = model.tensors.map(({ name }) => name);
  const [tensor] = model.tensors;
  const values = await tensor.values();
  const { count } = await head.tensors[0].stats();
  const found = {
    bits: model.bits, names, listed: head.tensors.length, compression: model.shards[0].compression,
    values: values.length === tensor.elementCount && count === tensor.elementCount,
  };
  head.close();
  model.close();
  return found;
}
globalThis.found = Promise.all([${calls.map((call) => `look(${call})`)}]);
`;
const USUAL = `import { inspect, open } from 'ballast-loader';`;

/** A page of one script. */
const pageOf = (script) => `<!doctype html>\n<meta charset="utf-8">\n<title>a consumer</title>\n${script}\n`;
const MODULE_PAGE = pageOf('<script type="module" src="./main.js"></script>');
const CLASSIC_PAGE = pageOf('<script defer src="./main.js"></script>');

const BUILDS = {
  vite(name) {
    const folder = project(name, { 'main.js': program(USUAL), 'index.html': MODULE_PAGE });
    run(folder, 'vite', 'build', '--base=./', '--logLevel=error');
    return path.join(folder, 'dist');
  },
  webpack(name) {
    const folder = project(name, { 'main.js': program(USUAL) });
    run(folder, 'webpack', '--mode=production', '--entry=./main.js', '--output-path=dist');
    fs.writeFileSync(path.join(folder, 'dist/index.html'), CLASSIC_PAGE);
    return path.join(folder, 'dist');
  },
  // It leaves addresses of files alone: they are copied to where the script is.
  'esbuild with copies'(name) {
    const folder = project(name, { 'main.js': program(USUAL) });
    run(folder, 'esbuild', 'main.js', '--bundle', '--minify', '--format=esm', '--outdir=dist', '--log-level=warning');
    for (const file of MODULES) fs.copyFileSync(path.join(packageFolder, 'dist', file), path.join(folder, 'dist', file));
    fs.writeFileSync(path.join(folder, 'dist/index.html'), MODULE_PAGE);
    return path.join(folder, 'dist');
  },
  'esbuild with its file loader'(name) {
    const imports = `${USUAL}
      import all from 'ballast-loader/wasm/all';
      import common from 'ballast-loader/wasm';
      import values from 'ballast-loader/wasm/values';
      import wide from 'ballast-loader/wasm/64';
      const from = (file) => ({ wasmUrl: new URL(file, import.meta.url), valuesUrl: new URL(values, import.meta.url) });`;
    const options = ['from(common)', 'from(common)', 'from(all)', '{ ...from(wide), bits: 64 }'];
    const calls = CALLS.map((call, i) => `${call.split(',')[0]}, ${options[i]}`);
    const folder = project(name, { 'main.js': program(imports, calls) });
    run(folder, 'esbuild', 'main.js', '--bundle', '--minify', '--format=esm', '--outdir=dist', '--loader:.wasm=file', '--log-level=warning');
    fs.writeFileSync(path.join(folder, 'dist/index.html'), MODULE_PAGE);
    return path.join(folder, 'dist');
  },
};

/** One script, and nothing beside it: not even a module. */
function buildInline() {
  const folder = project('inline', { 'main.js': program(`import { inspect, open } from 'ballast-loader/inline';`, CALLS.slice(0, 3)) });
  run(folder, 'esbuild', 'main.js', '--bundle', '--minify', '--format=iife', '--outdir=dist', '--log-level=warning');
  fs.writeFileSync(path.join(folder, 'dist/index.html'), CLASSIC_PAGE);
  return path.join(folder, 'dist');
}

const filesOf = (folder, ending) =>
  fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(ending)).map((name) => path.join(folder, name));

/** A frame of LZ4 that stores its one block: what the larger module alone reads, and no tool is needed. */
function lz4(bytes) {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes.length + 2 ** 31);
  return Buffer.concat([Buffer.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73), size, bytes, Buffer.alloc(4)]);
}

const COMPRESSIONS = ['none', 'gzip', 'lz4', 'none'];

/** What the program should find. */
function found(count = CALLS.length) {
  const names = inspected(sample(GGUF)).tensors.map(({ name }) => name);
  const all = COMPRESSIONS.map((compression, i) => ({ bits: i === 3 ? 64 : 32, names, listed: names.length, compression, values: true }));
  return all.slice(0, count);
}

let server;
before(async () => {
  const made = project('made', { 'tiny.gguf.gz': zlib.gzipSync(read(GGUF)), 'tiny.gguf.lz4': lz4(read(GGUF)) });
  server = await serve({ built: work, samples: BALLAST_SAMPLES, made });
});
after(() => server.close());

const skip = await missing('chromium');

describe('bundlers', () => {
  let browser;
  before(async () => {
    if (!skip) browser = await launch('chromium');
  });
  after(() => browser?.close());

  /** Runs a program that was built, in a page whose policy refuses it nothing. */
  async function assertFinds(t, folder, expected) {
    if (!browser) return t.diagnostic(`${skip}: built, but not run`);
    const page = await browser.page(`${server.origin}/built/${path.relative(work, folder)}/index.html?csp=strict`);
    assert.deepEqual(await page.run(() => globalThis.found), expected);
    assert.deepEqual(page.errors, []);
    return page.close();
  }

  for (const [name, build] of Object.entries(BUILDS)) {
    test(`${name}: a script, with one that may wait, each module once, and it runs`, async (t) => {
      const folder = build(name.replaceAll(' ', '-'));
      const scripts = filesOf(folder, '.js');
      assert.ok(scripts.length === 1 || scripts.length === 2, scripts.join());
      for (const script of scripts) assert.doesNotMatch(fs.readFileSync(script, 'utf8'), /\bnode:/);
      const contents = (files) => files.map((file) => fs.readFileSync(file, 'base64')).sort();
      const modules = filesOf(folder, '.wasm');
      const own = MODULES.map((file) => path.join(packageFolder, 'dist', file));
      assert.ok(contents(modules).join() === contents(own).join(), modules.join());
      await assertFinds(t, folder, found());
    });
  }

  test('the entry of one file becomes a part of one script, and fetches no module', async (t) => {
    const folder = buildInline();
    assert.deepEqual(fs.readdirSync(folder).sort(), ['index.html', 'main.js']);
    const seen = server.log.length;
    await assertFinds(t, folder, found(3));
    assert.deepEqual(server.log.slice(seen).filter(({ path: asked }) => asked.endsWith('.wasm')), []);
  });
});

const TYPED = `
import { BallastError, inspect, open, preflight, type Model, type OpenOptions, type Source } from 'ballast-loader';
import { loadInto, type LoadedModel } from 'ballast-loader/emscripten';
import { open as openInline } from 'ballast-loader/inline';

export async function first(source: Source, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const options: OpenOptions = { bits: 32, signal, onProgress: ({ loaded, total }) => console.log(loaded, total ?? 0) };
  using model: Model = await open(source, options);
  using same = await openInline(source, options);
  const vocabulary = model.metadata.get('tokenizer.ggml.tokens');
  if (typeof vocabulary === 'object') console.log(vocabulary.at(0), same.tensors.length);
  const tensor = model.tensors[0];
  if (!tensor) throw new Error('no tensors');
  const { array, isView } = tensor.typed();
  console.log(array.length, isView);
  return tensor.copy();
}

export async function directory(files: FileList, handle: FileSystemFileHandle): Promise<string> {
  using head = await inspect(files);
  const { message, fits } = await preflight(handle);
  const bytes: Uint8Array = await head.tensor('a').read();
  const model = await head.load({ tensors: ['a'] });
  return fits ? message : String(bytes.length + model.memory().peak);
}

export async function into(program: { HEAPU8: Uint8Array; _main(): number }, response: Response): Promise<number> {
  const model: LoadedModel = await loadInto(program, response);
  return model.give();
}

export function explain(error: unknown): string {
  if (!(error instanceof BallastError)) return String(error);
  switch (error.code) {
    case 'http_status': return \`status \${error.status ?? 0}\`;
    case 'too_large': return \`\${error.expected ?? 0}\`;
    // @ts-expect-error There is no such code.
    case 'no_such_code': return '';
    default: return error.message;
  }
}

// @ts-expect-error A number is nothing that can be opened.
void open(42);
// @ts-expect-error There is no such option.
void open('a', { bit: 64 });
`;

const TYPED_NODE = `
import { createReadStream, openAsBlob } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { open } from 'ballast-loader';

export async function all(file: string): Promise<number> {
  const sources = [file, new URL(file), await openFile(file), createReadStream(file), await openAsBlob(file), Buffer.alloc(1)];
  for (const source of sources) {
    using model = await open(source);
    console.log(model.tensors.length);
  }
  return sources.length;
}
`;

for (const [resolution, module] of [['bundler', 'esnext'], ['nodenext', 'nodenext']]) {
  test(`programs in TypeScript know its types, resolved as by ${resolution}`, () => {
    const folder = project(`typescript-${resolution}`, { 'package.json': '{ "type": "module" }', 'main.ts': TYPED, 'node.ts': TYPED_NODE });
    const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'es2022',
      '--module', module, '--moduleResolution', resolution];
    // With no more than a browser's types, and with Node's.
    run(folder, 'tsc', ...strict, '--lib', 'es2022,dom,dom.iterable', '--types', '', 'main.ts');
    const types = path.join(BALLAST_SOURCE, 'web/node_modules/@types');
    run(folder, 'tsc', ...strict, '--lib', 'es2023,dom', '--typeRoots', types, '--types', 'node', 'node.ts');
  });
}
