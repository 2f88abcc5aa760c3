// The package in Node: files are read straight into the WebAssembly memory.
import { makeApi } from './api.js';
import { nodeInput } from './node_sources.js';
import { nodeValues } from './node_values.js';
import { nodeModules } from './node_wasm.js';

// The build with all codecs is the usual one: nothing is downloaded.
const api = makeApi({ modules: nodeModules, usual: 'all', input: nodeInput, values: nodeValues(nodeModules) });

export const { open, inspect, preflight } = api;
export * from './public.js';
