// The same in Node, where files are read straight into the program's heap.
import { makeLoadInto } from './emscripten.js';
import { nodeInput } from './node_sources.js';

export const loadInto = makeLoadInto(nodeInput);
export type { EmscriptenModule } from './emscripten.js';
export { LoadedModel } from './emscripten.js';
export * from './public.js';
