// Model: a model in memory. Everything it gives out is a view of one WebAssembly memory, and dies
// when it is closed.
//
// `Disposable` comes along for users whose `lib` has none.
/// <reference lib="esnext.disposable" preserve="true" />
import type { Structure } from './abi.js';
import type { ErrorCode } from './codes.js';
import type { Engine } from './engine.js';
import type { BallastError } from './errors.js';
import { makeError } from './errors.js';
import { abortable } from './input.js';
import { Memory, Metadata } from './metadata.js';
import type { Statistics, StatsOptions, TensorBytes, ValueArray, ValuesGetter, ValuesOptions } from './values_api.js';

/** Something odd about a file that did not keep it from being opened. */
export interface Warning {
  readonly code: ErrorCode;
  readonly message: string;
  /** The byte of the file, where one is at fault. */
  readonly offset: number | undefined;
}

export type Format = 'gguf' | 'safetensors';

/** One file of a model. */
export interface Shard {
  /** Its name without folders; '' where it has none. */
  readonly name: string;
  /** Bytes of it, after decompression; undefined where it was not read to its end. */
  readonly fileBytes: number | undefined;
  /** Where the data of its tensors begin. */
  readonly dataOffset: number;
  readonly compression: 'none' | 'gzip' | 'zlib' | 'bzip2' | 'xz' | 'zstd' | 'lz4';
}

/** What values of a plain dtype are in JavaScript. F16 and BF16 are their bits: no engine computes with them all. */
export type TypedArray =
  | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array
  | BigUint64Array | BigInt64Array;

type TypedArrayConstructor = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
};

const ARRAYS: Readonly<Record<string, TypedArrayConstructor>> = {
  F64: Float64Array, F32: Float32Array, F16: Uint16Array, BF16: Uint16Array, C64: Float32Array,
  I64: BigInt64Array, I32: Int32Array, I16: Int16Array, I8: Int8Array,
  U64: BigUint64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array, BOOL: Uint8Array,
};

/** Values, and whether they are a view of the model or a copy. */
export interface TypedValues {
  readonly array: TypedArray;
  /** A view: no copy was made, and it dies with the model. False where the bytes lie at an odd place. */
  readonly isView: boolean;
}

/** Products stop at 2^64 - 1, which is no number of JavaScript. */
const SATURATED = 2 ** 64;

/** What is known of a tensor from the directory. */
export class TensorInfo {
  readonly name: string;
  /** As the file spells it: 'F32', 'Q4_K', 'BF16'. */
  readonly dtype: string;
  /** In the file's own order: GGUF has the contiguous dimension first, safetensors last. */
  readonly shape: readonly number[];
  /** Values in all. */
  readonly elementCount: number;
  /** Of its first byte, in its file. */
  readonly byteOffset: number;
  /** Bytes; undefined where the dtype has no size that is known. */
  readonly byteLength: number | undefined;
  /** Which file of a set it lies in. */
  readonly shard: number;
  /** Values that are stored together, and bytes of such a block; 0 where nobody knows. */
  readonly blockElements: number;
  readonly blockBytes: number;
  /** Its number in the model's list, which tells apart what names that are not UTF-8 do not. @internal */
  readonly index: number;
  /** Elements of a row: of the dimension whose elements lie side by side. 1 without dimensions. */
  readonly rowElements: number;

  /** @internal */
  constructor(engine: Engine, found: Structure<'tensor'>, format: Format) {
    this.name = engine.text(found.name, found.nameSize);
    this.dtype = engine.text(found.dtype, found.dtypeSize);
    const shape: number[] = [];
    for (let i = 0; i < found.rank; ++i) shape.push(engine.u64(found.shape + 8 * i) ?? SATURATED);
    this.shape = shape;
    this.elementCount = found.elements ?? SATURATED;
    this.byteOffset = found.offset ?? 0;
    this.byteLength = found.nbytes;
    this.shard = found.shard;
    this.index = found.index;
    this.blockElements = found.blockElements;
    this.blockBytes = found.blockBytes;
    this.rowElements = shape.at(format === 'gguf' ? 0 : -1) ?? 1;
  }

  /** How many rows there are. */
  get rowCount(): number {
    const { shape, elementCount, rowElements } = this;
    // Rows without elements are as many as the other dimensions say.
    return rowElements > 0 ? elementCount / rowElements : shape.reduce((rows, size) => rows * (size || 1), 1);
  }

  /** What to say of a tensor that has no size. */
  protected noValues(): BallastError {
    return makeError('unknown_dtype', `tensor "${this.name}" has a dtype that is not known here (${this.dtype}), so it has no values (unknown_dtype)`, { tensor: this.name });
  }
}

/** A tensor whose values can be read. */
export abstract class ReadableTensor extends TensorInfo {
  /** Where its bytes are. @internal */
  protected abstract source(): TensorBytes;
  /** @internal */
  protected abstract readonly reader: ValuesGetter;

  /**
   * Its values, of whatever dtype, in an array of their own: for `rows` [begin, end], by default all. Float32Array, or
   * what `as` asks for; of I32, I64, U32 and U64 their own type. Of a directory, only the bytes of these rows are
   * fetched. Throws 'rows_outside', 'wrong_type', 'unknown_dtype', 'not_loaded', 'out_of_memory'.
   */
  values(options: ValuesOptions & { readonly as?: 'f32' }): Promise<Float32Array<ArrayBuffer>>;
  values(options?: ValuesOptions): Promise<ValueArray>;
  async values(options: ValuesOptions = {}): Promise<ValueArray> {
    const source = this.source();
    return abortable(this.reader().then((tool) => tool.values(this, source, options)), options.signal);
  }

  /** What its values are like: counts, extremes, mean, deviation, histogram, from one pass over the rows. */
  async stats(options: StatsOptions = {}): Promise<Statistics> {
    const source = this.source();
    return abortable(this.reader().then((tool) => tool.stats(this, source, options)), options.signal);
  }
}

/** A tensor whose bytes are in memory. */
export class Tensor extends ReadableTensor {
  readonly #memory: Memory;
  readonly #address: number;
  /** @internal */
  protected readonly reader: ValuesGetter;

  /** @internal */
  constructor(memory: Memory, found: Structure<'tensor'>, format: Format, reader: ValuesGetter, address = found.bytes) {
    super(memory.engine, found, format);
    this.#memory = memory;
    this.#address = address;
    this.reader = reader;
  }

  /** @internal */
  protected source(): TensorBytes {
    this.bytes(); // they are there
    return { read: (begin, end) => () => this.#memory.engine.bytes(this.#address + begin, end - begin) };
  }

  #size(): number {
    if (this.byteLength === undefined) throw this.noValues();
    if (this.#address === 0 && this.byteLength > 0) {
      throw makeError('not_loaded', `tensor "${this.name}" was not read: only others were asked for (not_loaded)`, { tensor: this.name });
    }
    return this.byteLength;
  }

  /** Whether its bytes are in memory: false for those that a load by name has left out. */
  get isLoaded(): boolean {
    return this.byteLength !== undefined && (this.#address !== 0 || this.byteLength === 0);
  }

  /**
   * Its bytes: a view of the WebAssembly memory, no copy. Take it anew each time: when the memory grows, views
   * that were handed out before become empty. Throws 'closed' once the model is closed.
   */
  bytes(): Uint8Array {
    return this.#memory.engine.bytes(this.#address, this.#size());
  }

  /** Its bytes in memory of their own, which may be sent to workers and kept after close(). */
  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes());
  }

  /** Whether typed() is a view rather than a copy. */
  get isAligned(): boolean {
    const size = ARRAYS[this.dtype]?.BYTES_PER_ELEMENT ?? 1;
    return this.#address % size === 0;
  }

  /**
   * Its values: Float32Array for F32, Uint16Array for F16 and BF16 (their bits), BigInt64Array for I64, pairs of
   * floats for C64. A view where the bytes are aligned, else a copy. Throws 'wrong_type' for quantized dtypes.
   */
  typed(): TypedValues {
    const bytes = this.bytes();
    const kind = Object.hasOwn(ARRAYS, this.dtype) ? ARRAYS[this.dtype] : undefined;
    if (!kind) {
      throw makeError('wrong_type', `tensor "${this.name}" is ${this.dtype}, which is no type of JavaScript: take its bytes() (wrong_type)`, { tensor: this.name });
    }
    const isView = bytes.byteOffset % kind.BYTES_PER_ELEMENT === 0;
    const { buffer, byteOffset } = isView ? bytes : this.copy();
    return { array: new kind(buffer, byteOffset, bytes.length / kind.BYTES_PER_ELEMENT), isView };
  }
}

/** Bytes of the WebAssembly memory. */
export interface MemoryUse {
  /** Allocated now. */
  readonly used: number;
  /** The most that there ever was: the memory does not shrink before the model is closed. */
  readonly peak: number;
}

/** What a model and a directory have in common. */
export abstract class Directory<T extends TensorInfo> implements Disposable {
  readonly format: Format;
  /** Of GGUF; undefined for safetensors, which has none. */
  readonly version: number | undefined;
  /** Of GGUF, in bytes. */
  readonly alignment: number | undefined;
  /** Values of all tensors together. */
  readonly parameterCount: number;
  readonly isSharded: boolean;
  readonly metadata: Metadata;
  /** Width of addresses of the memory that it lies in. */
  readonly bits: 32 | 64;
  #model: number;
  #tensors: readonly T[] | undefined;
  readonly #counts: { tensors: number; shards: number; warnings: number };
  /** @internal */
  protected readonly held: Memory;

  /** @internal */
  protected readonly reader: ValuesGetter;

  /** @internal */
  constructor(engine: Engine, model: number, reader: ValuesGetter) {
    this.#model = model;
    this.reader = reader;
    this.bits = engine.bits;
    this.held = new Memory(engine);
    const summary = engine.look('ballast_model_summary', 'summary', model);
    if (!summary) throw makeError('unexpected', 'the module gives no summary');
    this.format = engine.text(summary.format) === 'gguf' ? 'gguf' : 'safetensors';
    this.version = summary.version;
    this.alignment = summary.alignment;
    this.parameterCount = summary.parameterCount ?? SATURATED;
    this.isSharded = summary.isSharded === 1;
    this.metadata = new Metadata(this.held, model, summary.entryCount);
    this.#counts = { tensors: summary.tensorCount, shards: summary.shardCount, warnings: summary.warningCount };
  }

  protected abstract wrap(found: Structure<'tensor'>): T;

  /** All tensors, in the files' own order. */
  get tensors(): readonly T[] {
    const engine = this.held.engine;
    this.#tensors ??= Array.from({ length: this.#counts.tensors }, (_, i) => {
      const found = engine.look('ballast_model_tensor', 'tensor', this.#model, i);
      if (!found) throw makeError('unexpected', `there is no tensor ${i}`);
      return this.wrap(found);
    });
    return this.#tensors;
  }

  /** The tensor of that name. Throws 'no_such_tensor'. */
  tensor(name: string): T {
    const found = this.find(name);
    if (!found) throw makeError('no_such_tensor', `there is no tensor "${name}" (no_such_tensor)`, { tensor: name });
    return found;
  }

  /** The tensor of that name, or undefined. */
  find(name: string): T | undefined {
    const engine = this.held.engine;
    const found = engine.withText(name, (text, size) => engine.look('ballast_model_find', 'tensor', this.#model, text, size));
    const tensor = found
      ? (this.#tensors?.[found.index] ?? this.wrap(found))
      : name.includes('\ufffd') // what bytes that are not UTF-8 have become
        ? this.tensors.find((one) => one.name === name)
        : undefined;
    return tensor?.name === name ? tensor : undefined; // a lone surrogate becomes U+FFFD on its way in
  }

  /** The files that it consists of; a single file is a list of one. */
  get shards(): readonly Shard[] {
    const engine = this.held.engine;
    return Array.from({ length: this.#counts.shards }, (_, i) => {
      const found = engine.look('ballast_model_shard', 'file', this.#model, i);
      if (!found) throw makeError('unexpected', `there is no file ${i}`);
      return {
        name: engine.text(found.name, found.nameSize),
        fileBytes: this.sizeOfShard(i, found),
        dataOffset: found.dataOffset ?? 0,
        compression: engine.text(found.compression) as Shard['compression'],
      };
    });
  }

  protected sizeOfShard(_index: number, found: Structure<'file'>): number | undefined {
    return found.isComplete === 1 ? found.fileSize : undefined;
  }

  /** What is odd about the files without being wrong. */
  get warnings(): readonly Warning[] {
    const engine = this.held.engine;
    return Array.from({ length: this.#counts.warnings }, (_, i) => {
      const found = engine.look('ballast_model_warning', 'warning', this.#model, i);
      if (!found) throw makeError('unexpected', `there is no warning ${i}`);
      return {
        code: engine.text(found.name) as ErrorCode,
        message: engine.text(found.message),
        offset: found.offset,
      };
    });
  }

  /** Bytes of its WebAssembly memory. */
  memory(): MemoryUse {
    return this.held.engine.memory();
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.held.isDropped;
  }

  /** Frees it. Nothing that it gave out may be used afterwards. Does nothing the second time. */
  close(): void {
    const engine = this.held.drop();
    if (!engine) return;
    this.#tensors = undefined;
    this.release(engine);
    engine.call('ballast_model_close', this.#model);
    this.#model = 0;
  }

  /** How many files it consists of. */
  protected get shardCount(): number {
    return this.#counts.shards;
  }

  /** Gives the handle away, to whom it belongs from now on. Throws 'closed' the second time. */
  protected detach(): number {
    this.held.engine; // not closed
    this.held.drop();
    this.#tensors = undefined;
    return this.#model;
  }

  /** What else is to be freed with it. */
  protected release(_engine: Engine): void {
    // nothing
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A model in memory. */
export class Model extends Directory<Tensor> {
  protected wrap(found: Structure<'tensor'>): Tensor {
    return new Tensor(this.held, found, this.format, this.reader);
  }
}
