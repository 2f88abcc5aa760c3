// The package as one file, for pages that can fetch nothing beside it: extensions, playgrounds. A third larger.
import { makeApi } from './api.js';
import * as valuesPart from './values.js';
import { valuesOf } from './values_getter.js';
import { webInput } from './web_sources.js';
import { Modules } from './wasm.js';
import bytes from 'ballast-all.wasm';
import valuesBytes from 'ballast-values.wasm';

const modules = new Modules(() => WebAssembly.compile(bytes), false);
const values = valuesOf(modules, () => Promise.resolve(valuesPart), () => WebAssembly.compile(valuesBytes));

const api = makeApi({ modules, usual: 'all', input: webInput, values });

export const { open, inspect, preflight } = api;
export * from './public.js';
