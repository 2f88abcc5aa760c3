// The package as one file, for pages that can fetch nothing beside it: extensions, playgrounds. A third larger.
import { makeApi } from './api.js';
import { webInput } from './web_sources.js';
import { Modules } from './wasm.js';
import bytes from 'ballast-all.wasm';

const api = makeApi({ modules: new Modules(() => WebAssembly.compile(bytes), false), usual: 'all', input: webInput });

export const { open, inspect, preflight } = api;
export * from './public.js';
