// The package as a package: what is in it, how large it is, and whether bundlers, compilers and Node
// find their way in.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';

const { BALLAST_INSTALLED, BALLAST_SOURCE } = process.env;
const folder = path.join(BALLAST_INSTALLED, 'node_modules/ballast-loader');
const tarball = fs.readdirSync(BALLAST_INSTALLED).filter((name) => name.endsWith('.tgz')).map((name) => path.join(BALLAST_INSTALLED, name))[0];
const inPackage = (name) => path.join(folder, name);
const tool = (name) => path.join(BALLAST_SOURCE, 'web/node_modules/.bin', name);
const gzipped = (name) => zlib.gzipSync(fs.readFileSync(inPackage(name)), { level: 9 }).length;

test('what a browser downloads is within its budget', (t) => {
  const script = gzipped('dist/web.js');
  const module = gzipped('dist/ballast.wasm');
  t.diagnostic(`${script} bytes of JavaScript and ${module} of WebAssembly, gzipped`);
  assert.ok(script > 1000 && module > 1000);
  assert.ok(script + module <= 110_000, `${script} + ${module}`);
});

test('the modules want nothing of who runs them but a number read and to be told when memory has grown', () => {
  const known = new Set(['env.ballast_number', 'env.emscripten_notify_memory_growth']);
  for (const name of ['ballast.wasm', 'ballast-all.wasm']) {
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(fs.readFileSync(inPackage(`dist/${name}`))));
    assert.deepEqual(imports.map((each) => `${each.module}.${each.name}`).filter((each) => !known.has(each)), [], name);
  }
});

test('what reads values is within its budget, and apart from the rest', (t) => {
  const module = gzipped('dist/ballast-values.wasm');
  const script = gzipped('dist/values.js');
  t.diagnostic(`${script} bytes of JavaScript and ${module} of WebAssembly, gzipped`);
  assert.ok(script > 1000 && module > 1000);
  assert.ok(script + module <= 45_000, `${script} + ${module}`);
  for (const name of ['web.js', 'node.js', 'emscripten.js']) {
    assert.match(fs.readFileSync(inPackage(`dist/${name}`), 'utf8'), /import\(["']\.\/values\.js["']\)/, name);
  }
});

test('the tarball holds what is needed and nothing else', () => {
  const files = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n').map((name) => name.replace(/^package\//, ''));
  for (const name of files) assert.match(name, /^(README\.md|LICENSE|package\.json|dist\/(types\/)?[a-z_0-9-]+(\.d)?\.(ts|js)|dist\/(command\/)?ballast[a-z0-9-]*\.(wasm|cjs))$/);
  for (const name of ['README.md', 'LICENSE', 'dist/types/public_api.d.ts', 'dist/ballast-64.wasm']) assert.ok(files.includes(name), name);
});

test('every entry that package.json names is there', () => {
  const { exports, bin, dependencies } = JSON.parse(fs.readFileSync(inPackage('package.json'), 'utf8'));
  const targets = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry)));
  for (const target of [...targets, ...Object.values(bin)]) assert.ok(fs.existsSync(inPackage(target)), target);
  assert.equal(dependencies, undefined);
});

test('browsers get nothing of Node, and nothing that a strict policy forbids', () => {
  for (const name of ['web.js', 'emscripten.js', 'inline.js']) {
    const text = fs.readFileSync(inPackage(`dist/${name}`), 'utf8');
    assert.doesNotMatch(text, /["']node:|require\(|createRequire|\beval\(|new Function\(/, name);
  }
  // Literal, or bundlers do not find the files.
  for (const file of ['ballast', 'ballast-all', 'ballast-64']) {
    assert.ok(fs.readFileSync(inPackage('dist/web.js'), 'utf8').includes(`new URL("./${file}.wasm",import.meta.url)`), file);
  }
});

test('publint and are-the-types-wrong have nothing to say', () => {
  execFileSync(tool('publint'), ['--strict', tarball], { encoding: 'utf8' });
  execFileSync(tool('attw'), [tarball, '--profile', 'esm-only', '--exclude-entrypoints', './wasm', './wasm/all', './wasm/64', './wasm/values'], { encoding: 'utf8' });
});

test('the codes are those of the C++ table', async () => {
  const { NATIVE_CODES, PACKAGE_CODES } = await import(pathToFileURL(inPackage('dist/node.js')).href);
  const table = fs.readFileSync(path.join(BALLAST_SOURCE, 'src/ballast/error_table.h'), 'utf8');
  assert.deepEqual([...NATIVE_CODES], Array.from(table.matchAll(/^ *X\((\w+),/gm), ([, code]) => code));
  assert.deepEqual(PACKAGE_CODES.filter((code) => NATIVE_CODES.includes(code)), []);
});

test('structures and options are those of ballast.h', () => {
  const header = fs.readFileSync(path.join(BALLAST_SOURCE, 'src/ballast/ballast.h'), 'utf8');
  const abi = fs.readFileSync(path.join(BALLAST_SOURCE, 'web/src/abi.ts'), 'utf8');
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

  for (const [, name, signature] of abi.matchAll(/^ {2}(ballast_\w+): '([>pui]*)',/gm)) {
    const [, result, parameters] = new RegExp(`BALLAST_API ([^;(]*?)\\b${name}\\(([^;]*)\\);`).exec(header) ?? assert.fail(name);
    const kinds = parameters === 'void' ? [] : parameters.split(',').map(kindOf);
    const answer = result.trim() === 'void' ? '' : `>${kindOf(result)}`;
    assert.equal(kinds.join('') + answer, signature, name);
  }

  const fieldsOf = (structure) => {
    const [, body] = new RegExp(`typedef struct ballast_${structure} \\{([^}]*)\\}`).exec(header) ?? assert.fail(structure);
    return Array.from(body.replaceAll(/\/\*[^]*?\*\//g, '').matchAll(/^\s*([\w ]+[ *]+)(\w+);/gm), ([, type, name]) => [name, kindOf(type)]);
  };
  const seen = [];
  const block = abi.slice(abi.indexOf('const STRUCTURES'), abi.indexOf('as const satisfies'));
  for (const [, structure, body] of block.matchAll(/^ {2}(\w+): (\[\[.*\]\]|\[\n[^]*?\n {2}\]),$/gm)) {
    seen.push(structure);
    const ours = Array.from(body.matchAll(/\['(\w+)', '(\w)'\]/g), ([, name, kind]) => [snake(name), kind === 'b' ? 'u' : kind]);
    const theirs = fieldsOf(structure).filter(([, kind]) => kind !== 'v');
    assert.deepEqual(ours, theirs, structure);
  }
  assert.ok(seen.length >= 5, seen.join());
  const numbers = abi.slice(abi.indexOf('const OPTIONS'), abi.indexOf('export type OptionName'));
  for (const [, name, number] of numbers.matchAll(/^ {2}(\w+): (\d+),/gm)) {
    assert.match(header, new RegExp(`BALLAST_OPTION_${snake(name).toUpperCase()} = ${number}\\b`), name);
  }
});

/** p is a pointer or a size_t, u a uint64_t, i an int, v a structure inside another one. */
function kindOf(type) {
  if (type.includes('*') || /\bsize_t\b/.test(type)) return 'p';
  if (/\buint64_t\b/.test(type)) return 'u';
  return /\bballast_value\b/.test(type) ? 'v' : 'i';
}
