// loadInto in browsers.
import { makeLoadInto } from './into.js';
import { webInput } from './web_sources.js';
import { webValues } from './web_values.js';

/** Loads a source into the heap of a program. */
export const loadInto = makeLoadInto(webInput, webValues);
export type { EmscriptenModule, LoadInto, LoadIntoOptions } from './into.js';
export { LoadedModel } from './into.js';
export * from './public.js';
