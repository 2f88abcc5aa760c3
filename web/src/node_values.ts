// Where what reads values is in Node: beside this file.
import { readFile } from 'node:fs/promises';
import { valuesOf } from './values_getter.js';
import type { Modules } from './wasm.js';
import { compileFrom } from './wasm.js';

export const nodeValues = (modules: Modules) =>
  valuesOf(modules, () => import('./values.js'), () => {
    const file = new URL('./ballast-values.wasm', import.meta.url);
    return compileFrom(file.href, async () => WebAssembly.compile(await readFile(file)));
  });
