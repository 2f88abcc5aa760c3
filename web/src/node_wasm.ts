// Where the modules are in Node: beside this file.
import { readFile } from 'node:fs/promises';
import type { Build } from './wasm.js';
import { Modules, compileFrom } from './wasm.js';

// Literal, so that bundlers see the files.
const FILES: Readonly<Record<Build, () => URL>> = {
  common: () => new URL('./ballast.wasm', import.meta.url),
  all: () => new URL('./ballast-all.wasm', import.meta.url),
  '64': () => new URL('./ballast-64.wasm', import.meta.url),
};

export const nodeModules = new Modules((build) => {
  const file = FILES[build]();
  return compileFrom(file.href, async () => WebAssembly.compile(await readFile(file)));
});
