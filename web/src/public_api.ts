// The types of the package's entries, which are the same on every platform.
import type { Api } from './api.js';

/** Loads a model into memory. */
export declare const open: Api['open'];
/** Reads the directory of a model: its metadata and its tensors, without the weights. */
export declare const inspect: Api['inspect'];
/** Tells what a model would need, before it is loaded. */
export declare const preflight: Api['preflight'];
export * from './public.js';
