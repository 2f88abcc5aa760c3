// Head: the directory of a model, without its weights, from as few bytes as that takes. Tensors can
// then be fetched one by one.
import type { Structure } from './abi.js';
import type { Engine } from './engine.js';
import { makeError } from './errors.js';
import type { Input, Ranges } from './input.js';
import { abortable, opened, withSignals } from './input.js';
import type { OpenOptions, Platform, WorkOptions } from './load.js';
import {
  Reporter, Turns, askedBuild, feed, inputsOf, load, loaderSettings, modelOf, siblingsOf, withLoader, withSibling,
} from './load.js';
import { Budget, checkOptions } from './limits.js';
import type { Loader } from './loader.js';
import type { Format, TensorInfo } from './model.js';
import { Directory, Model, ReadableTensor, Tensor } from './model.js';
import type { StatsOptions, TensorBytes, ValuesGetter } from './values_api.js';
import type { Build } from './wasm.js';
import { instantiateForDirectory, keep } from './wasm.js';

/** The first part that is asked for: the directory of most safetensors files fits. */
const FIRST = 64 << 10;
const LITTLE = 1 << 20;
/** What is fetched at once of tensors. */
const PART = 4 << 20;
/** Bytes between two tensors that are fetched rather than left out by another request. */
const GAP = 4 << 10;

/** One file of which the directory was read. */
interface Part {
  readonly input: Input;
  /** Access to the rest of it; undefined where there is none, or where it would be compressed bytes. */
  readonly ranges: Ranges | undefined;
  /** Bytes of it, where that is known. */
  readonly size: number | undefined;
}

/** How many bytes the directory takes, where its beginning says so: of safetensors. */
function exactEnd(head: Uint8Array): number | undefined {
  if (head.length < 9 || head[8] !== 0x7b) return undefined;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  return length < 1n << 31n ? 8 + Number(length) : undefined;
}

/** Feeds a loader by ranges that grow, until it has the directory. Answers how many bytes that took. */
async function feedRanges(
  loader: Loader,
  ranges: Ranges,
  signal: AbortSignal | undefined,
  seen: (loaded: number) => void,
): Promise<number> {
  let done = 0;
  let next = Math.min(FIRST, ranges.size);
  while (done < ranges.size && !loader.hasDirectory) {
    const bytes = await abortable(ranges.read(done, next - done, signal), signal);
    if (bytes.length === 0) break; // it has shrunk
    loader.push(bytes);
    const exact = done === 0 ? exactEnd(bytes) : undefined;
    done += bytes.length;
    seen(done);
    // Four times as much while that is little, for each request takes its time; then twice, so that at most one part in
    // two is read in vain.
    const more = done < LITTLE ? 4 * done : 2 * done;
    next = Math.min(exact !== undefined && exact > done ? exact : more, ranges.size);
  }
  return done;
}

/** Reads the directories of all files of a source. */
class Reading {
  readonly parts: Part[] = [];
  readonly data: number[] = [];
  readonly names: string[] = [];
  bytesRead = 0;
  /** Of memory that the directories take, which is little of what their model would. */
  readonly budget: Budget;
  readonly #engine: Engine;
  readonly #options: OpenOptions;
  readonly #reporter: Reporter;

  constructor(engine: Engine, options: OpenOptions) {
    this.#engine = engine;
    this.#options = options;
    this.budget = new Budget(options);
    this.#reporter = new Reporter(options.onProgress);
  }

  async add(input: Input): Promise<void> {
    const { signal } = this.#options;
    const ranges = input.ranges && (await opened(input.ranges(signal), signal));
    try {
      if (ranges) await this.#addRanges(input, ranges);
      else await this.#addStream(input);
    } catch (error) {
      ranges?.close();
      throw error;
    }
    this.names.push(input.name === '' ? (this.#options.name ?? '') : input.name);
  }

  /** Feeds a loader that stops behind the directory. Answers whether that was compressed. */
  async #load(path: string, size: number | undefined, feeding: (loader: Loader, seen: (done: number, isLast?: boolean) => void) => Promise<number>): Promise<boolean> {
    const settings = { ...loaderSettings(this.#options, path, size, this.budget), directoryOnly: true };
    let isCompressed = false;
    this.data.push(await withLoader(this.#engine, settings, path, this.budget, async (loader) => {
      this.bytesRead += await feeding(loader, (done, isLast) => this.#reporter.report(done, undefined, loader.progress.done, isLast));
      ({ isCompressed } = loader.progress);
    }));
    return isCompressed;
  }

  async #addRanges(input: Input, ranges: Ranges): Promise<void> {
    const { signal } = this.#options;
    // What can be read by a call goes straight to where it stays, and no more of it than the loader looks at.
    const isCompressed = await this.#load(input.path, ranges.size, (loader, seen) =>
      ranges.fill ? feed(loader, ranges, signal, seen) : feedRanges(loader, ranges, signal, seen));
    if (isCompressed) ranges.close();
    this.parts.push({ input, ranges: isCompressed ? undefined : ranges, size: isCompressed ? undefined : ranges.size });
  }

  async #addStream(input: Input): Promise<void> {
    const { signal } = this.#options;
    const stream = await opened(input.stream(signal), signal);
    try {
      const isCompressed = await this.#load(input.path, stream.size, (loader, seen) => feed(loader, stream, signal, seen));
      this.parts.push({ input, ranges: undefined, size: isCompressed ? undefined : stream.size });
    } finally {
      stream.close(new DOMException('the directory is there', 'AbortError'));
    }
  }

  close(): void {
    for (const handle of this.data) this.#engine.call('ballast_data_close', handle);
    for (const { ranges } of this.parts) ranges?.close();
  }
}

/** Reads the directory of a source, and of the files that belong to it. */
export async function inspectSource(platform: Platform, source: unknown, options: OpenOptions): Promise<Head> {
  checkOptions(options);
  options.signal?.throwIfAborted();
  const inputs = inputsOf(platform, source, options);
  return withSignals([options.signal, ...inputs.map(({ signal }) => signal)], (signal) => inspectInputs(platform, source, inputs, { ...options, signal }));
}

async function inspectInputs(platform: Platform, source: unknown, inputs: readonly [Input, ...Input[]], options: OpenOptions): Promise<Head> {
  const { signal } = options;
  // A directory that names no codec is small: the build with all of them costs one download, once.
  const attempt = async (build: Build): Promise<Head> => {
    const engine = await abortable(platform.modules.get(build, options).then(instantiateForDirectory), signal);
    const reading = new Reading(engine, options);
    try {
      for (const input of inputs) await reading.add(input);
      const [first] = inputs;
      if (inputs.length === 1 && first.sibling) {
        for (const name of siblingsOf(engine, reading.data[0] ?? 0, first.name)) {
          await withSibling(first, name, (input) => reading.add(input));
        }
      }
      const model = modelOf(engine, reading.data.splice(0), reading.names, options);
      return new Head(platform, source, options, engine, model, reading);
    } catch (error) {
      reading.close();
      if (build === 'common' && error instanceof Error && 'code' in error && error.code === 'codec_missing' && inputs.every((input) => input.isRereadable)) {
        return attempt('all');
      }
      throw error;
    }
  };
  return attempt(askedBuild(platform, options));
}

/** Gets at the bytes of tensors. */
interface Reader {
  /** Fetches a part of a tensor, by default all of it. */
  fetch(tensor: HeadTensor, options: WorkOptions, begin?: number, end?: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Whether a part costs no more than a part. */
  hasParts(tensor: HeadTensor): boolean;
}

/** A tensor of which the directory alone is there. */
export class HeadTensor extends ReadableTensor {
  readonly #bytes: Reader;
  /** @internal */
  protected readonly reader: ValuesGetter;

  /** @internal */
  constructor(engine: Engine, found: Structure<'tensor'>, format: Format, reader: ValuesGetter, bytes: Reader) {
    super(engine, found, format);
    this.reader = reader;
    this.#bytes = bytes;
  }

  /**
   * Fetches its bytes, and no others, into memory of their own: of `rows` [begin, end], by default of all. Of compressed
   * files all that comes before is decoded, too. Throws 'rows_outside', 'unknown_dtype', and 'misuse' where a row begins
   * inside a byte.
   */
  async read({ rows, ...work }: StatsOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.#bytes.fetch(this, work, ...(rows === undefined ? [] : bytesOf(this, rows)));
  }

  /** @internal */
  protected source(): TensorBytes {
    if (this.byteLength === undefined) throw this.noValues();
    let whole: Uint8Array | undefined;
    return {
      read: async (begin, end, signal) => {
        if (this.#bytes.hasParts(this)) {
          const bytes = await this.#bytes.fetch(this, { signal }, begin, end);
          return () => bytes;
        }
        // Of what is compressed, or comes once, each part would cost what all of it costs.
        const bytes = (whole ??= await this.#bytes.fetch(this, { signal }));
        return () => bytes.subarray(begin, end);
      },
    };
  }
}

/** What a load by name takes. */
export interface LoadOptions extends WorkOptions {
  /** The names of the tensors that are wanted; by default all. */
  readonly tensors?: Iterable<string> | undefined;
}

/** Where bytes of a tensor go. */
interface Want {
  readonly offset: number;
  readonly size: number;
  readonly put: (at: number, bytes: Uint8Array) => void;
}

/** The directory of a model: its metadata and tensors, without the weights. */
export class Head extends Directory<HeadTensor> {
  /** Bytes of the source that were read for it. */
  readonly bytesRead: number;
  readonly #platform: Platform;
  readonly #source: unknown;
  readonly #options: OpenOptions;
  #parts: readonly Part[] = [];
  /** Ends the reads that are under way when it is closed. */
  readonly #ended = new AbortController();
  readonly #budget: Budget;
  readonly #bytes: Reader = {
    fetch: (tensor, options, begin, end) => this.#readTensor(tensor, options, begin, end),
    hasParts: ({ shard }) => this.#parts[shard]?.ranges !== undefined,
  };

  /** @internal */
  constructor(platform: Platform, source: unknown, options: OpenOptions, engine: Engine, model: number, reading: Reading) {
    super(engine, model, platform.values(options));
    this.#platform = platform;
    this.#source = source;
    this.#options = { ...options, signal: undefined, onProgress: undefined };
    this.#parts = this.#partsOf(reading);
    this.bytesRead = reading.bytesRead;
    this.#budget = reading.budget;
  }

  /** The files as the model has them: an index is none of them, and its files come by their names. */
  #partsOf({ names, parts }: Reading): readonly Part[] {
    const extra = parts.length - this.shardCount;
    if (extra === 0) return parts;
    const found = this.shards.map(({ name }, i) => parts[name === '' ? i + extra : names.indexOf(name, extra)] as Part);
    parts[0]?.ranges?.close();
    return found;
  }

  protected wrap(found: Structure<'tensor'>): HeadTensor {
    return new HeadTensor(this.held.engine, found, this.format, this.reader, this.#bytes);
  }

  protected override sizeOfShard(index: number, found: Structure<'file'>): number | undefined {
    return this.#parts[index]?.size ?? super.sizeOfShard(index, found);
  }

  protected override release(): void {
    this.#ended.abort(makeError('closed', 'the directory was closed while a tensor was read'));
    for (const { ranges } of this.#parts) ranges?.close();
  }

  override close(): void {
    if (this.isClosed) return;
    const { engine } = this.held;
    super.close();
    keep(engine);
  }

  /** Bytes of all files together, where that is known. */
  get fileBytes(): number | undefined {
    return this.#parts.reduce<number | undefined>((sum, { size }) => (sum === undefined || size === undefined ? undefined : sum + size), 0);
  }

  /** Bytes of memory that the whole model takes, file by file: up to the end of its last tensor. */
  get bytesNeeded(): readonly number[] {
    const ends = this.shards.map(({ dataOffset }) => dataOffset);
    for (const { shard, byteOffset, byteLength } of this.tensors) {
      ends[shard] = Math.max(ends[shard] ?? 0, byteOffset + (byteLength ?? 0));
    }
    return ends;
  }

  /**
   * Loads the whole model, or, with `tensors`, fetches the bytes of these alone: the others are listed in the
   * model, and not there (`isLoaded`).
   */
  async load({ tensors, ...work }: LoadOptions = {}): Promise<Model> {
    this.held.engine; // not closed
    if (tensors === undefined) {
      const { engine, model } = await load(this.#platform, this.#source, { ...this.#options, ...work });
      return new Model(engine, model, this.reader);
    }
    const wanted = [...new Set(tensors)].map((name) => this.tensor(name));
    // Of what is compressed, or comes once, no part can be had alone.
    if (!this.#parts.every(({ ranges }) => ranges)) return this.load(work);
    const { signal } = work;
    const copy = await inspectSource(this.#platform, this.#source, { ...this.#options, signal });
    return copy.#keep(wanted, work);
  }

  /** Fetches tensors into the memory of this directory, which becomes a model. */
  async #keep(wanted: readonly HeadTensor[], work: WorkOptions): Promise<Model> {
    const engine = this.held.engine;
    const addresses = new Map<number, number>();
    try {
      const found = wanted.map((tensor) => sameTensor(tensor, this));
      this.#budget.check(found.reduce((sum, tensor) => sum + sizeOf(tensor), 0), this.#parts[0]?.input.path ?? '');
      const wants = found.map((tensor) => {
        const size = sizeOf(tensor);
        const address = allocateAligned(engine, size);
        addresses.set(tensor.index, address);
        const put = (at: number, bytes: Uint8Array) => engine.heap.set(bytes, address + at);
        return { shard: tensor.shard, offset: tensor.byteOffset, size, put };
      });
      await this.#fetch(wants, work);
      return new PartialModel(engine, this.detach(), this.reader, addresses);
    } finally {
      for (const { ranges } of this.#parts) ranges?.close();
    }
  }

  async #readTensor(tensor: HeadTensor, work: WorkOptions, begin = 0, end = sizeOf(tensor)): Promise<Uint8Array<ArrayBuffer>> {
    this.held.engine; // not closed
    if (!this.#parts[tensor.shard]?.ranges) {
      const model = await withSignals([work.signal, this.#ended.signal], (signal) => this.load({ ...work, signal }));
      try {
        return sameTensor(tensor, model).bytes().slice(begin, end);
      } finally {
        model.close();
      }
    }
    const bytes = new Uint8Array(end - begin);
    const put = (at: number, piece: Uint8Array) => bytes.set(piece, at);
    await this.#fetch([{ shard: tensor.shard, offset: tensor.byteOffset + begin, size: end - begin, put }], work);
    return bytes;
  }

  /** Fetches ranges, those that lie together at once, and puts each where it is wanted. */
  async #fetch(wants: readonly (Want & { shard: number })[], { signal, onProgress }: WorkOptions): Promise<void> {
    const reporter = new Reporter(onProgress);
    const turns = new Turns();
    const total = wants.reduce((sum, { size }) => sum + size, 0);
    let loaded = 0;
    const fetchRun = async ({ input, ranges }: Part, { start, end, members }: Run, ending: AbortSignal | undefined) => {
      for (let at = start; at < end; ) {
        ending?.throwIfAborted();
        const length = Math.min(PART, end - at);
        const bytes = await abortable(ranges?.read(at, length, ending) ?? Promise.resolve(new Uint8Array()), ending);
        if (bytes.length !== length) {
          throw makeError('file_changed', `${input.path}: the file has become shorter while it was read (file_changed)`, {
            offset: at + bytes.length, expected: length, actual: bytes.length, file: input.path,
          });
        }
        for (const member of members) give(member, at, bytes);
        at += length;
        loaded += length;
        reporter.report(loaded, total, loaded);
        await turns.pause(ending);
      }
    };
    for (const [index, part] of this.#parts.entries()) {
      const here = wants.filter(({ shard, size }) => shard === index && size > 0).sort((a, b) => a.offset - b.offset);
      if (here.length === 0) continue;
      await withSignals([signal, part.input.signal, this.#ended.signal], async (ending) => {
        for (const run of runsOf(here)) await fetchRun(part, run, ending);
      });
    }
    reporter.report(loaded, total, loaded, true);
  }
}

/** The tensor at the same place in a model that was read from the same files later: by its number, since names may decode alike. */
function sameTensor<T extends TensorInfo>(tensor: TensorInfo, { tensors }: { readonly tensors: readonly T[] }): T {
  const found = tensors[tensor.index];
  if (found && (['name', 'dtype', 'shard', 'byteOffset', 'byteLength'] as const).every((field) => found[field] === tensor[field])) return found;
  throw makeError('file_changed', `tensor "${tensor.name}" is not where it was: the file has changed since its directory was read`, { tensor: tensor.name });
}

function sizeOf(tensor: TensorInfo): number {
  if (tensor.byteLength !== undefined) return tensor.byteLength;
  throw makeError('unknown_dtype', `tensor "${tensor.name}" has a dtype that is not known here (${tensor.dtype}), so it has no values (unknown_dtype)`, { tensor: tensor.name });
}

/** Where rows lie in a tensor. */
function bytesOf(tensor: TensorInfo, rows: readonly [number, number]): [begin: number, end: number] {
  const { name, rowCount } = tensor;
  if (!(Array.isArray(rows) && rows.length === 2 && rows.every(Number.isInteger))) throw makeError('misuse', `tensor "${name}": rows are [begin, end], counted from 0`, { tensor: name });
  const places = rows.map((row) => (row === 0 ? 0 : (row * sizeOf(tensor)) / rowCount));
  const [first, end] = rows;
  if (end > rowCount && Number.isInteger(end)) {
    throw makeError('rows_outside', `tensor "${name}" has ${rowCount} rows, and row ${end - 1} was asked for`, { expected: rowCount, actual: end - 1, tensor: name });
  }
  if (!(first >= 0 && first <= end && places.every(Number.isInteger))) {
    throw makeError('misuse', `tensor "${name}": ${first} to ${end} are no rows whose bytes are theirs alone`, { tensor: name });
  }
  return places as [number, number];
}

/** Memory at a multiple of 64, where every typed array can lie. */
function allocateAligned(engine: Engine, size: number): number {
  // Freed with the whole memory, which the model has for itself.
  return Math.ceil(engine.allocate(size + 64) / 64) * 64;
}

/** Ranges that lie together, as one. */
interface Run {
  readonly start: number;
  end: number;
  readonly members: Want[];
}

function runsOf(wants: readonly Want[]): Run[] {
  const runs: Run[] = [];
  for (const want of wants) {
    const last = runs.at(-1);
    if (last && want.offset - last.end <= GAP) {
      last.end = Math.max(last.end, want.offset + want.size);
      last.members.push(want);
    } else {
      runs.push({ start: want.offset, end: want.offset + want.size, members: [want] });
    }
  }
  return runs;
}

/** The part of a piece that belongs to a tensor. */
function give({ offset, size, put }: Want, at: number, bytes: Uint8Array): void {
  const from = Math.max(offset, at);
  const to = Math.min(offset + size, at + bytes.length);
  if (from < to) put(from - offset, bytes.subarray(from - at, to - at));
}

/** A model of which some tensors are in memory. */
class PartialModel extends Model {
  /** By the number of the tensor. */
  readonly #addresses: ReadonlyMap<number, number>;

  constructor(engine: Engine, model: number, reader: ValuesGetter, addresses: ReadonlyMap<number, number>) {
    super(engine, model, reader);
    this.#addresses = addresses;
  }

  protected override wrap(found: Structure<'tensor'>): Tensor {
    return new Tensor(this.held, found, this.format, this.reader, this.#addresses.get(found.index) ?? 0);
  }
}
