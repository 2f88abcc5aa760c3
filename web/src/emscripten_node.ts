// The same in Node, where files are read straight into the program's heap.
import { makeLoadInto } from './into.js';
import { nodeInput } from './node_sources.js';
import { nodeValues } from './node_values.js';

export const loadInto = makeLoadInto(nodeInput, nodeValues);
export type { EmscriptenModule, LoadInto, LoadIntoOptions } from './into.js';
export { LoadedModel } from './into.js';
export * from './public.js';
