// From a source to data in the memory of an engine.
import type { Engine, Settings } from './engine.js';
import { BallastError, makeError } from './errors.js';
import type { Input, Stream } from './input.js';
import { abortable, opened, withSignals } from './input.js';
import { Budget, checkOptions } from './limits.js';
import { Loader } from './loader.js';
import type { NetworkOptions } from './sources.js';
import { kindOf } from './sources.js';
import type { ValuesGetter } from './values_api.js';
import type { Build, Modules, WasmSource } from './wasm.js';
import { WASM32_FILE, WASM32_MEMORY, instantiate, isGiven } from './wasm.js';

/** How far a load is. */
export interface Progress {
  /** Bytes of the source that have come. */
  readonly loaded: number;
  /** How many there are, where that is known. */
  readonly total: number | undefined;
  /** Bytes in memory, after decompression. */
  readonly decoded: number;
  /** Bytes of the source in a second, of late. */
  readonly rate: number;
}

/** What may be said about any work with a source. */
export interface WorkOptions {
  /** Ends it at once: the connection is closed, memory is freed, and the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** What may be said about opening. */
export interface OpenOptions extends WorkOptions, WasmSource, NetworkOptions {
  /** What the source is called, where it has no name of its own: errors say it. */
  readonly name?: string | undefined;
  /** Addresses of 32 or 64 bits. By default 32, and 64 where the model needs it and the engine can. */
  readonly bits?: 32 | 64 | undefined;
  /** The most bytes that all files of the model together may take in memory, else 'too_large'. Infinity: no limit. */
  readonly maxBytes?: number | undefined;
  /** The most decoded bytes for a compressed one, else 'ratio_too_high': 1000 by default. Infinity: no limit. */
  readonly maxRatio?: number | undefined;
  /** The most bytes that a compressed stream may ask for beside the model: 128 MiB by default. Infinity: no limit. */
  readonly maxWindow?: number | undefined;
  /** Whether trailing bytes in safetensors are a warning instead of an error. */
  readonly lenient?: boolean | undefined;
}

/** What the package does differently on each platform. */
export interface Platform {
  readonly modules: Modules;
  /** The build that is taken where nothing speaks for another one. */
  readonly usual: Build;
  input(source: unknown, options: NetworkOptions): Input | undefined;
  /** What reads values: loaded when it is wanted. */
  readonly values: (given: WasmSource) => ValuesGetter;
}

// ---- Which build --------------------------------------------------------------------------------

const BZIP2 = [0x42, 0x5a, 0x68];
const XZ = [0xfd, 0x37, 0x7a, 0x58];
const LZ4 = [0x04, 0x22, 0x4d, 0x18];

/** Whether bytes begin as those of a codec that only the larger build has. */
function isUncommon(head: Uint8Array): boolean {
  return [BZIP2, XZ, LZ4].some((magic) => magic.every((byte, i) => head[i] === byte));
}

/** The build for what was asked for, before anything is known of the source. */
export function askedBuild(platform: Platform, options: OpenOptions): Build {
  if (options.bits !== 64) return platform.usual;
  const lacking = platform.modules.lacksWide(options);
  if (lacking !== '') throw makeError('no_wasm64', lacking);
  return '64';
}

function buildFor(platform: Platform, options: OpenOptions, size: number | undefined, head: Uint8Array): Build {
  const asked = askedBuild(platform, options);
  const isLarge = size !== undefined && size > WASM32_FILE;
  if (isLarge && options.bits === undefined && platform.modules.lacksWide(options) === '') return '64';
  return asked === 'common' && isUncommon(head) ? 'all' : asked;
}

/** The build with which it may go better, where one failed. */
function betterBuild(platform: Platform, error: unknown, build: Build, options: OpenOptions): Build | undefined {
  if (!(error instanceof BallastError) || isGiven(options)) return undefined;
  if (error.code === 'codec_missing' && build === 'common') return 'all';
  const isLimit = error.code === 'vector_limit' || error.code === 'too_large' || error.code === 'out_of_memory';
  const ownLimit = options.maxBytes !== undefined && (error.expected ?? Infinity) > options.maxBytes;
  const canWiden = options.bits === undefined && platform.modules.lacksWide(options) === '';
  return isLimit && !ownLimit && build !== '64' && canWiden ? '64' : undefined;
}

// ---- Streams that can go back, while little of them has come -------------------------------------

/** A stream that gives again what it gave, until it is told that nobody will go back. */
class Rewindable {
  readonly #stream: Stream;
  #kept: Uint8Array[] | undefined = [];
  #replay: Uint8Array[] = [];

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  get size(): number | undefined {
    return this.#stream.size;
  }

  get fill() {
    return this.#stream.fill;
  }

  async pull(): Promise<Uint8Array | undefined> {
    const again = this.#replay.shift();
    if (again) return again;
    const piece = await this.#stream.pull?.();
    if (piece) this.#kept?.push(piece.slice());
    return piece;
  }

  /** The first bytes, which are given again. */
  async head(signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (this.#stream.fill) return new Uint8Array();
    const head = await abortable(this.pull(), signal);
    this.rewind();
    return head ? head.slice(0, 16) : new Uint8Array();
  }

  rewind(): boolean {
    if (this.#stream.fill) return this.#stream.size !== undefined; // a pipe gives nothing twice
    if (!this.#kept) return false;
    this.#replay = [...(this.#kept ?? [])];
    return true;
  }

  settle(): void {
    this.#kept = undefined;
  }

  close(reason?: unknown): void {
    this.#stream.close(reason);
  }
}

// ---- Loading ------------------------------------------------------------------------------------

/** What is read or decoded at once. */
const READ_AT_ONCE = 4 << 20;
/** After so long without a pause, timers, signals and the page get their turn. */
const TURN_MILLISECONDS = 20;

/** Lets everything else have its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') return void setImmediate(resolve); // Node's own costs a tenth of a channel
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Interrupts long work that would otherwise leave no time for anything else. */
export class Turns {
  #since = performance.now();

  /** Lets everything else have its turn, where that is due. Throws the signal's reason. */
  async pause(signal: AbortSignal | undefined): Promise<void> {
    if (performance.now() - this.#since < TURN_MILLISECONDS) return;
    await turn();
    this.#since = performance.now();
    signal?.throwIfAborted();
  }
}

/** Tells the caller how far it is, not more often than it is worth. */
export class Reporter {
  readonly #tell: ((progress: Progress) => void) | undefined;
  readonly #samples: { time: number; loaded: number }[] = [];
  #last = -Infinity;
  /** Of files that are there already. */
  #loadedBefore = 0;
  #decodedBefore = 0;
  #loaded = 0;
  #decoded = 0;

  constructor(tell: ((progress: Progress) => void) | undefined) {
    this.#tell = tell;
  }

  /** Another file begins. */
  next(): void {
    this.#loadedBefore += this.#loaded;
    this.#decodedBefore += this.#decoded;
    this.#loaded = 0;
    this.#decoded = 0;
  }

  /** Everything begins again. */
  restart(): void {
    this.#loadedBefore = this.#decodedBefore = this.#loaded = this.#decoded = 0;
    this.#samples.length = 0;
  }

  report(loaded: number, total: number | undefined, decoded: number, isLast = false): void {
    this.#loaded = loaded;
    this.#decoded = decoded;
    const now = performance.now();
    if (!this.#tell || (!isLast && now - this.#last < 50)) return;
    this.#last = now;
    const all = this.#loadedBefore + loaded;
    this.#samples.push({ time: now, loaded: all });
    if (this.#samples.length > 40) this.#samples.shift();
    const first = this.#samples[0];
    const seconds = first ? (now - first.time) / 1000 : 0;
    this.#tell({
      loaded: all,
      total: total === undefined ? undefined : this.#loadedBefore + total,
      decoded: this.#decodedBefore + decoded,
      rate: first && seconds > 0 ? (all - first.loaded) / seconds : 0,
    });
  }
}

/** Puts the bytes of a stream into a loader, until there are no more or no more are wanted. */
export async function feed(
  loader: Loader,
  stream: { readonly fill?: Stream['fill'] | undefined; readonly pull?: Stream['pull'] | undefined },
  signal: AbortSignal | undefined,
  seen: (loaded: number, isLast: boolean) => void,
): Promise<number> {
  let loaded = 0;
  const turns = new Turns();
  if (stream.fill) {
    for (;;) {
      const room = loader.prepare(READ_AT_ONCE);
      const got = room.length === 0 ? 0 : stream.fill(room, loaded);
      if (room.length > 0) loader.commit(got);
      loaded += got;
      seen(loaded, got === 0);
      if (got === 0) return loaded;
      await turns.pause(signal);
    }
  }
  while (!loader.hasDirectory) {
    const piece = await abortable(stream.pull?.() ?? Promise.resolve(undefined), signal);
    if (!piece) break;
    for (let at = 0; at < piece.length; at += READ_AT_ONCE) {
      loader.push(piece.subarray(at, at + READ_AT_ONCE));
      await turns.pause(signal);
    }
    loaded += piece.length;
    seen(loaded, false);
  }
  seen(loaded, true);
  return loaded;
}

/** What a loader is told of a source. */
export const loaderSettings = (options: OpenOptions, path: string, total: number | undefined, budget: Budget): Settings => ({
  acceptIndex: true,
  path: path === '' ? options.name : path,
  total,
  maxBytes: budget.left,
  maxRatio: options.maxRatio,
  maxWindow: options.maxWindow,
  lenient: options.lenient,
});

/** One file, all of it: data in the memory of the engine. */
async function loadStream(
  engine: Engine,
  stream: Rewindable,
  path: string,
  options: OpenOptions,
  reporter: Reporter,
  budget: Budget,
): Promise<number> {
  return withLoader(engine, loaderSettings(options, path, stream.size, budget), path, budget, (loader) =>
    feed(loader, stream, options.signal, (loaded, isLast) => {
      const { done, total, isCompressed } = loader.progress;
      if (total !== undefined) stream.settle(); // the model has its place: nobody goes back
      reporter.report(loaded, stream.size ?? (isCompressed ? undefined : total), done, isLast);
    }),
  );
}

/** The data that a loader has once it is fed. */
export async function withLoader(
  engine: Engine,
  settings: Settings,
  path: string,
  budget: Budget,
  feeding: (loader: Loader) => Promise<unknown>,
): Promise<number> {
  let loader: Loader | undefined;
  try {
    loader = new Loader(engine, settings);
    await feeding(loader);
    const data = loader.finish();
    budget.used += engine.look('ballast_data_file', 'file', data)?.size ?? 0;
    return data;
  } catch (error) {
    throw budget.explain(error, path);
  } finally {
    loader?.free();
  }
}

/** What compressed files are called after what is in them. */
const SUFFIXES = ['.zst', '.gz', '.xz', '.bz2', '.lz4', '.zz'] as const;
export const suffixOf = (name: string): string => SUFFIXES.find((suffix) => name.endsWith(suffix)) ?? '';

export const isMissing = (error: unknown): boolean =>
  error instanceof BallastError &&
  (error.code === 'no_such_file_or_directory' || (error.code === 'http_status' && (error.status === 404 || error.status === 410)));

/** Does something with a file of a set, under its own name or that of a compressed one. */
export async function withSibling<T>(first: Input, name: string, use: (input: Input) => Promise<T>): Promise<T> {
  const suffix = suffixOf(first.name);
  const candidates = [suffix, ...(suffix === '' ? [] : ['']), ...SUFFIXES.filter((other) => other !== suffix)];
  for (const candidate of candidates) {
    const input = first.sibling?.(name + candidate);
    if (!input) break;
    try {
      return await use(input);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  const reason = first.sibling
    ? 'it must lie beside the file that was opened'
    : 'this source has no files beside it: give a list of all files of the set, in order';
  throw makeError('missing_shard', `${first.path}: file "${name}" is missing: ${reason} (missing_shard)`, { file: first.path });
}

/** The names of the files that belong to a first one, which lie beside it. */
export function siblingsOf(engine: Engine, data: number, name: string): string[] {
  const list = engine.withText(name, (text) => engine.make('ballast_data_siblings', data, text, 0));
  const names: string[] = [];
  const heap = engine.heap;
  for (let at = list; heap[at] !== 0; ) {
    const end = heap.indexOf(0, at);
    names.push(engine.text(at, end - at));
    at = end + 1;
  }
  engine.call('ballast_siblings_free', list);
  return names;
}

/** The inputs of a source: an index comes first, wherever a file picker has put it. */
export function inputsOf(platform: Platform, source: unknown, options: NetworkOptions): [Input, ...Input[]] {
  // A FileList, too: what an <input> has picked.
  const isList = Array.isArray(source) || (typeof FileList !== 'undefined' && source instanceof FileList);
  const sources: readonly unknown[] = isList ? Array.from(source) : [source];
  const isIndex = ({ name }: Input) => /\.json(\.\w+)?$/.test(name);
  const [first, ...rest] = sources.map((one) => inputOf(platform, one, options)).sort((a, b) => +isIndex(b) - +isIndex(a));
  if (!first) throw makeError('unsupported_source', 'the list of files is empty (unsupported_source)');
  return [first, ...rest];
}

/** A model of data, which it takes. */
export function modelOf(engine: Engine, data: readonly number[], names: readonly string[], options: OpenOptions): number {
  const settings = { lenient: options.lenient };
  const texts = names.map((name) => {
    const text = new TextEncoder().encode(name);
    const address = engine.allocate(text.length + 1);
    const heap = engine.heap;
    heap.set(text, address);
    heap[address + text.length] = 0;
    return address;
  });
  try {
    return engine.withPointers(data, (list) =>
      engine.withPointers(texts, (called) =>
        engine.withOptions(settings, (given) => engine.make('ballast_model_from_data', list, called, data.length, given)),
      ),
    );
  } finally {
    for (const text of texts) engine.free(text);
  }
}

/** Makes the input of a source, or says what could be one. */
function inputOf(platform: Platform, source: unknown, options: NetworkOptions): Input {
  const input = platform.input(source, options);
  if (input) return input;
  throw makeError(
    'unsupported_source',
    `${kindOf(source)} is nothing that can be opened here: give a path or URL, a Request or Response, a Blob or File, a file ` +
      'handle, a stream, bytes, or a list of these (unsupported_source)',
  );
}

/** A model in the memory of an engine. */
export interface Loaded {
  readonly engine: Engine;
  readonly model: number;
}

/** Loads all files of a source into an engine that it makes, or that is given. */
export async function load(platform: Platform, source: unknown, options: OpenOptions, given?: Engine): Promise<Loaded> {
  checkOptions(options);
  options.signal?.throwIfAborted();
  const inputs = inputsOf(platform, source, options);
  return withSignals([options.signal, ...inputs.map(({ signal }) => signal)], (signal) => loadInputs(platform, inputs, { ...options, signal }, given));
}

async function loadInputs(platform: Platform, inputs: readonly [Input, ...Input[]], options: OpenOptions, given?: Engine): Promise<Loaded> {
  const { signal } = options;
  const [first, ...rest] = inputs;
  const reporter = new Reporter(options.onProgress);
  let stream = new Rewindable(await opened(first.stream(signal), signal));
  // Whether a set that does not fit may be begun again in a larger memory.
  const mayGrow = (build: Build) =>
    !given && inputs.every((input) => input.isRereadable) && betterBuild(platform, makeError('too_large', ''), build, options) === '64';
  let failure: unknown;
  try {
    let build = given ? platform.usual : buildFor(platform, options, stream.size, await stream.head(signal));
    for (;;) {
      const engine: Engine = given ?? (await abortable(platform.modules.get(build, options).then(instantiate), signal));
      try {
        return { engine, model: await loadSet(engine, inputs, stream, options, reporter, mayGrow(build)) };
      } catch (error) {
        const better = given ? undefined : betterBuild(platform, error, build, options);
        if (better === undefined || !rest.every((input) => input.isRereadable)) throw error;
        if (!stream.rewind()) {
          if (!first.isRereadable) throw error;
          stream.close(error);
          stream = new Rewindable(await opened(first.stream(signal), signal));
        }
        build = better;
        reporter.restart();
      }
    }
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    stream.close(failure);
  }
}

async function loadSet(
  engine: Engine,
  [first, ...rest]: readonly [Input, ...Input[]],
  firstStream: Rewindable,
  options: OpenOptions,
  reporter: Reporter,
  mayGrow: boolean,
): Promise<number> {
  const data: number[] = [];
  const names: string[] = [];
  const budget = new Budget(options);
  let count = 1 + rest.length;
  const add = async (input: Input, stream: Rewindable) => {
    data.push(await loadStream(engine, stream, input.path, options, reporter, budget));
    names.push(input.name === '' ? (options.name ?? '') : input.name);
    reporter.next();
  };
  const addInput = async (input: Input) => {
    const stream = new Rewindable(await opened(input.stream(options.signal), options.signal));
    stream.settle();
    let failure: unknown;
    try {
      // The files of a set are about as large as each other: better now than when most of them are there.
      const estimate = count * (stream.size ?? 0);
      if (mayGrow && estimate > WASM32_MEMORY) {
        throw makeError('too_large', `${first.path}: about ${estimate} bytes in ${count} files are more than 32-bit memory`, { expected: estimate });
      }
      await add(input, stream);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      stream.close(failure);
    }
  };
  try {
    await add(first, firstStream);
    for (const input of rest) await addInput(input);
    if (rest.length === 0 && first.sibling) {
      const siblings = siblingsOf(engine, data[0] ?? 0, first.name);
      count += siblings.length;
      for (const name of siblings) await withSibling(first, name, addInput);
    }
    return modelOf(engine, data.splice(0), names, options);
  } finally {
    for (const handle of data) engine.call('ballast_data_close', handle);
  }
}
