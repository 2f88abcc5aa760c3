// The package in browsers, on the page and in workers.
import { makeApi } from './api.js';
import { webInput } from './web_sources.js';
import { webValues } from './web_values.js';
import type { Build } from './wasm.js';
import { Modules, compileUrl } from './wasm.js';

// Literal, so that bundlers see the files and put them where they are found.
const FILES: Readonly<Record<Build, () => URL>> = {
  common: () => new URL('./ballast.wasm', import.meta.url),
  all: () => new URL('./ballast-all.wasm', import.meta.url),
  '64': () => new URL('./ballast-64.wasm', import.meta.url),
};

const modules = new Modules((build) => compileUrl(FILES[build]()));

const api = makeApi({ modules, usual: 'common', input: webInput, values: webValues(modules) });

export const { open, inspect, preflight } = api;
export * from './public.js';
