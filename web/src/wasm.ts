// The module of the package: which of its three builds, compiled once, one instance for each model.
//
// A memory of WebAssembly never shrinks. A model with an instance of its own gives everything back
// when it is closed, and has all 4 GiB for itself.
import type { FunctionName } from './abi.js';
import type { Callable } from './engine.js';
import { Engine } from './engine.js';
import { BallastError, makeError } from './errors.js';

/** The builds: gzip and zstd (what models on the web come in), every codec, and 64-bit memory. */
export type Build = 'common' | 'all' | '64';

/** Bytes of an instance's memory. */
export const WASM32_MEMORY = 4 * 2 ** 30;
export const WASM64_MEMORY = 16 * 2 ** 30;
/** Bytes that one file can have in 32-bit memory. */
export const WASM32_FILE = 2 ** 31 - 1;

/** Where the module comes from instead of the package. It must have been built for these `bits`. */
export interface WasmSource {
  readonly wasmUrl?: string | URL | undefined;
  readonly wasmBinary?: BufferSource | undefined;
  readonly wasmModule?: WebAssembly.Module | undefined;
  /** Where `ballast-loader/wasm/values` comes from instead, which values and statistics take. */
  readonly valuesUrl?: string | URL | undefined;
}

/** Whether the caller brings a module. */
export const isGiven = ({ wasmUrl, wasmBinary, wasmModule }: WasmSource): boolean =>
  (wasmUrl ?? wasmBinary ?? wasmModule) !== undefined;

/** A module whose memory has 64-bit addresses, and nothing else. */
const MEMORY64 = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 5, 4, 1, 5, 1, 1);

let memory64: boolean | undefined;
/** Whether this engine has 64-bit memory that can grow as the standard says. */
export function hasWasm64(): boolean {
  memory64 ??= WebAssembly.validate(MEMORY64);
  return memory64;
}

type Address = number | bigint;

/** Addresses of 32 bits come with a sign. */
const unsigned = (address: Address): number => (typeof address === 'bigint' ? Number(address) : address >>> 0);

/** An instance of a module of this package, which needs nothing but to be told that it grew. */
function engineOf(instance: WebAssembly.Instance): Engine {
  const { exports } = instance;
  const memory = exports['memory'];
  if (!(memory instanceof WebAssembly.Memory)) throw makeError('no_module', 'this is not the module of ballast-loader');
  const find = (name: string): Callable => {
    const found = exports[name];
    if (typeof found !== 'function') throw makeError('no_module', `the module has no ${name}: is it of another version?`);
    return found as Callable;
  };
  find('_initialize')();
  const malloc = find('malloc') as (size: Address) => Address;
  const free = find('free') as (address: Address) => undefined;
  const options = find('ballast_options_create')() ?? 0;
  const wide = typeof options === 'bigint';
  find('ballast_options_free')(options);
  const size = wide ? BigInt : Number;
  let heap = new Uint8Array(memory.buffer);
  return new Engine({
    bits: wide ? 64 : 32,
    find: (name: FunctionName) => find(name),
    malloc: (bytes) => unsigned(malloc(size(bytes))),
    free: (address) => free(size(address)),
    heap: () => (heap.buffer === memory.buffer ? heap : (heap = new Uint8Array(memory.buffer))),
    used: () => unsigned(find('ballast_module_used')() ?? 0),
  });
}

/** Anything that keeps a module from being used is an error of this package: with whose name, and why. */
function noModule(what: string, cause: unknown): BallastError {
  if (cause instanceof BallastError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return makeError('no_module', `${what}: the WebAssembly module cannot be had from there (${why}); set wasmUrl`, {
    cause,
    file: what,
  });
}

export async function instantiate(module: WebAssembly.Module): Promise<Engine> {
  const env = {
    // It need not be told that it grew.
    emscripten_notify_memory_growth: () => undefined,
    // The number that a text is.
    ballast_number: (address: Address, size: Address) => Number(engine.text(unsigned(address), Number(size))),
  };
  let engine: Engine;
  try {
    engine = engineOf(await WebAssembly.instantiate(module, { env }));
    return engine;
  } catch (error) {
    if (error instanceof WebAssembly.LinkError || error instanceof TypeError) {
      throw makeError('no_module', `this is not the module of ballast-loader (${error.message})`, { cause: error });
    }
    if (!(error instanceof RangeError)) throw error;
    // Each memory takes its addresses at once, of which engines give only so many.
    throw makeError('out_of_memory', `there is no room for another model (${error.message}): close() those that are done`, {
      cause: error,
    });
  }
}

/** Compiles what comes from a place, whose name errors say. */
export async function compileFrom(what: string, compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
  try {
    return await compile();
  } catch (error) {
    throw noModule(what, error);
  }
}

// Directories are small, come one after another, and hand out no views: the instance of one that was closed serves the
// next. Its memory is there already; of a new one, the first touch of each page can take longer than the reading.

/** An instance is let go when its memory has grown beyond this, or when nobody wants it for a while. */
const KEPT_BYTES = 32 << 20;
const KEPT_MILLISECONDS = 10_000;

const modules = new WeakMap<Engine, WebAssembly.Module>();
let kept: Engine | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** An instance for a directory: the one that was kept, or a new one. */
export async function instantiateForDirectory(module: WebAssembly.Module): Promise<Engine> {
  if (kept && modules.get(kept) === module) {
    const engine = kept;
    keep(undefined);
    return engine;
  }
  const engine = await instantiate(module);
  modules.set(engine, module);
  return engine;
}

/** Keeps the instance of a directory that is closed, for the next one; instead of any other. */
export function keep(engine: Engine | undefined): void {
  if (engine && engine.memory().peak > KEPT_BYTES) return;
  clearTimeout(timer);
  kept = engine;
  timer = engine && setTimeout(() => keep(undefined), KEPT_MILLISECONDS);
  (timer as { unref?: () => void } | undefined)?.unref?.(); // Node does not wait for it
}

/** A module by way of the network, compiled while it comes where the server calls it what it is. */
export function compileUrl(url: string | URL): Promise<WebAssembly.Module> {
  return compileFrom(String(url), async () => {
    const response = await fetch(url, { credentials: 'same-origin' });
    if (!response.ok) {
      throw makeError('no_module', `${url}: the WebAssembly module is not there (HTTP ${response.status}); set wasmUrl`, {
        status: response.status,
        file: String(url),
      });
    }
    if (response.headers.get('content-type')?.startsWith('application/wasm')) return WebAssembly.compileStreaming(response);
    return WebAssembly.compile(await response.arrayBuffer());
  });
}

/** Modules that are compiled or being compiled, each once. */
export class Modules {
  readonly #fetch: (build: Build) => Promise<WebAssembly.Module>;
  readonly #hasWide: boolean;
  readonly #compiled = new Map<Build | string, Promise<WebAssembly.Module>>();

  /** `hasWide` says whether there is a build with 64-bit memory. */
  constructor(fetchModule: (build: Build) => Promise<WebAssembly.Module>, hasWide = true) {
    this.#fetch = fetchModule;
    this.#hasWide = hasWide;
  }

  /** Why there can be no 64-bit memory; '' where there can. */
  lacksWide(given: WasmSource): string {
    if (!hasWasm64()) return 'this engine has no 64-bit memory (no_wasm64): leave bits away';
    if (this.#hasWide || isGiven(given)) return '';
    return 'this entry of the package has no 64-bit module (no_wasm64): import ballast-loader itself, or set wasmUrl';
  }

  /** The module of a build, or that which the caller brings. */
  get(build: Build, given: WasmSource): Promise<WebAssembly.Module> {
    if (given.wasmModule) return Promise.resolve(given.wasmModule);
    const { wasmBinary } = given;
    if (wasmBinary) return compileFrom('wasmBinary', () => WebAssembly.compile(wasmBinary));
    if (given.wasmUrl !== undefined) {
      const url = given.wasmUrl;
      return this.#once(String(url), () => compileUrl(url));
    }
    return this.#once(build, () => this.#fetch(build));
  }

  /** The module that reads values. */
  values({ valuesUrl }: WasmSource, fetchModule: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
    if (valuesUrl !== undefined) return this.#once(String(valuesUrl), () => compileUrl(valuesUrl));
    return this.#once('values', fetchModule);
  }

  #once(key: string, compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
    let found = this.#compiled.get(key);
    if (!found) {
      found = compile();
      this.#compiled.set(key, found);
      // A failure, offline say, is no reason to fail for ever.
      found.catch(() => this.#compiled.delete(key));
    }
    return found;
  }
}
