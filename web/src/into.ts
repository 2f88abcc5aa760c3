// loadInto: for programs that are Emscripten modules of their own and link ballast::exports. A source goes
// straight into their heap, where the program finds it, so that there is no second copy of the model.
import type { FunctionName } from './abi.js';
import { OPTIONS, SIGNATURES } from './abi.js';
import type { Callable } from './engine.js';
import { Engine } from './engine.js';
import { makeError } from './errors.js';
import type { Input } from './input.js';
import type { OpenOptions } from './load.js';
import { load } from './load.js';
import { Model } from './model.js';
import type { NetworkOptions, Source } from './sources.js';
import type { ValuesGetter } from './values_api.js';
import type { WasmSource } from './wasm.js';
import { Modules } from './wasm.js';

/** What the factory of an Emscripten program gives that was linked with ballast::exports. */
export type EmscriptenModule = object;

/** What may be said about loading. Width of addresses and codecs are what the program was built with. */
export type LoadIntoOptions = Omit<OpenOptions, 'bits' | Exclude<keyof WasmSource, 'valuesUrl'>>;

/** Loads a source into the heap of a program. */
export type LoadInto = (module: EmscriptenModule, source: Source, options?: LoadIntoOptions) => Promise<LoadedModel>;

/**
 * A model in the heap of a program. close() gives its bytes back to the program's malloc; memory() tells of the
 * program's memory as a whole, and takes all of it for used.
 */
export class LoadedModel extends Model {
  readonly #handle: number;

  /** @internal */
  constructor(engine: Engine, model: number, reader: ValuesGetter) {
    super(engine, model, reader);
    this.#handle = model;
  }

  /**
   * The `ballast_model *` that the program works with, until close() frees it. A number, of 64-bit programs, too:
   * `ccall` takes it for a 'pointer'; an export that is called directly takes a BigInt there.
   */
  get handle(): number {
    this.held.engine; // not closed
    return this.#handle;
  }

  /**
   * Gives the model to the program, which frees it by ballast_model_close, whenever it likes. Answers the
   * `ballast_model *`. This object is closed then, and its views are as good as the program's memory.
   */
  give(): number {
    return this.detach();
  }
}

type Exports = Readonly<Record<string, unknown>>;

const CURE = 'link it with ballast::exports, of the same version as this package';

/** Before Emscripten 4, programs with 32-bit addresses take two numbers for each 64-bit integer. */
function inHalves(call: Callable): Callable {
  const halves = (arg: number | bigint) =>
    typeof arg === 'bigint' ? [Number(BigInt.asIntN(32, arg)), Number(BigInt.asIntN(32, arg >> 32n))] : [arg];
  return (...args) => call(...args.flatMap(halves));
}

/** Whether a function refuses a BigInt for its uint64_t. */
function wantsHalves(set: Callable, options: number | bigint): boolean {
  try {
    set(options, OPTIONS.maxRatio, 1n);
    return false;
  } catch (error) {
    if (error instanceof TypeError) return true;
    throw error;
  }
}

function makeEngine(module: EmscriptenModule): Engine {
  const exports = module as Exports;
  const find = (name: string): Callable => {
    const found = exports[`_${name}`];
    if (typeof found !== 'function') throw makeError('no_module', `the program does not export _${name}: ${CURE}`);
    return found as Callable;
  };
  for (const name of Object.keys(SIGNATURES)) find(name);
  const malloc = find('ballast_js_malloc');
  const free = find('ballast_js_free');
  find('ballast_js_show_heap')();

  const options = find('ballast_options_create')() ?? 0;
  const bits = typeof options === 'bigint' ? 64 : 32;
  const hasHalves = wantsHalves(find('ballast_options_set'), options);
  find('ballast_options_free')(options);
  const address = bits === 64 ? BigInt : Number;
  return new Engine({
    bits,
    find: (name: FunctionName) => (hasHalves && SIGNATURES[name].includes('u') ? inHalves(find(name)) : find(name)),
    malloc: (size) => (bits === 64 ? Number(malloc(address(size))) : Number(malloc(size)) >>> 0),
    free: (at) => free(address(at)),
    heap: () => exports['ballastHeap'] as Uint8Array,
  });
}

const engines = new WeakMap<EmscriptenModule, Engine>();

function engineOf(module: EmscriptenModule): Engine {
  const engine = engines.get(module) ?? makeEngine(module);
  engines.set(module, engine);
  return engine;
}

const noModules = new Modules(() => Promise.reject(makeError('no_module', 'the program is the module')));

/** Makes loadInto for a platform's sources, and for where it has what reads values. */
export function makeLoadInto(
  input: (source: unknown, options: NetworkOptions) => Input | undefined,
  valuesFor: (modules: Modules) => (given: WasmSource) => ValuesGetter,
): LoadInto {
  const values = valuesFor(noModules);
  return async (module, source, options = {}) => {
    const platform = { modules: noModules, usual: 'all' as const, input, values };
    const { engine, model } = await load(platform, source, options, engineOf(module));
    return new LoadedModel(engine, model, values(options));
  };
}
