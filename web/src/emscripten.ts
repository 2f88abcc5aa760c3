// For programs that are Emscripten modules of their own and link ballast::ballast: a source goes straight
// into their heap, where the program finds it, so that there is no second copy of the model.
import type { FunctionName } from './abi.js';
import type { Callable } from './engine.js';
import { Engine } from './engine.js';
import { makeError } from './errors.js';
import { webInput } from './web_sources.js';
import type { Input } from './input.js';
import type { OpenOptions } from './load.js';
import { load } from './load.js';
import { Model } from './model.js';
import type { NetworkOptions, Source } from './sources.js';
import { Modules } from './wasm.js';

/**
 * A module of Emscripten's that exports the C API, malloc and free, and HEAPU8:
 * `-sEXPORTED_FUNCTIONS=@ballast.exports -sEXPORTED_RUNTIME_METHODS=HEAPU8`.
 */
export interface EmscriptenModule {
  readonly HEAPU8: Uint8Array;
}

/** A model in the heap of a program. */
export class LoadedModel extends Model {
  /** The `ballast_model *` that the program works with. It belongs to this object: close() ends it. */
  readonly handle: number;

  /** @internal */
  constructor(engine: Engine, model: number) {
    super(engine, model);
    this.handle = model;
  }

  /** Gives the `ballast_model *` to the program, which closes it by ballast_model_close. This object ends. */
  give(): number {
    return this.detach();
  }
}

const engines = new WeakMap<EmscriptenModule, Engine>();

function engineOf(module: EmscriptenModule): Engine {
  const known = engines.get(module);
  if (known) return known;
  const find = (name: string): Callable => {
    const found = (module as unknown as Record<string, unknown>)[`_${name}`];
    if (typeof found !== 'function') {
      throw makeError('no_module', `the program does not export _${name}: link it with the EXPORTED_FUNCTIONS of ballast::exports (no_module)`);
    }
    return found as Callable;
  };
  const options = find('ballast_options_create')() ?? 0;
  const bits = typeof options === 'bigint' ? 64 : 32;
  find('ballast_options_free')(options);
  const engine = new Engine({
    bits,
    find: (name: FunctionName) => find(name),
    // Emscripten turns the addresses of these two into numbers by itself.
    malloc: (size) => (bits === 64 ? Number(find('malloc')(size)) : Number(find('malloc')(size)) >>> 0),
    free: (address) => find('free')(address),
    heap: () => module.HEAPU8,
  });
  engines.set(module, engine);
  return engine;
}

const noModules = new Modules(() => Promise.reject(makeError('no_module', 'the program brings its own module')));

/** Makes loadInto for a platform's sources. */
export function makeLoadInto(input: (source: unknown, options: NetworkOptions) => Input | undefined) {
  return async (module: EmscriptenModule, source: Source, options: OpenOptions = {}): Promise<LoadedModel> => {
    const platform = { modules: noModules, usual: 'all' as const, input };
    const { engine, model } = await load(platform, source, options, engineOf(module));
    return new LoadedModel(engine, model);
  };
}

/** Loads a source into the heap of a program. */
export const loadInto = makeLoadInto(webInput);
export * from './public.js';
