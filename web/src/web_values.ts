// Where what reads values is in browsers: beside this file, and fetched when it is wanted.
import { valuesOf } from './values_getter.js';
import type { Modules } from './wasm.js';
import { compileUrl } from './wasm.js';

export const webValues = (modules: Modules) =>
  valuesOf(modules, () => import('./values.js'), () => compileUrl(new URL('./ballast-values.wasm', import.meta.url)));
