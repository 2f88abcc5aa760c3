// Metadata: what a model says of itself, decoded when it is asked for.
import type { Structure } from './abi.js';
import type { Engine } from './engine.js';
import { decodeText } from './engine.js';
import { makeError } from './errors.js';

/** Types of values, as GGUF calls them. Metadata of safetensors are strings. */
export type ValueType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'bool' | 'string' | 'array' | 'u64' | 'i64' | 'f64';

const TYPES: readonly ValueType[] = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64'];

/** Bytes of an element in an array; 0 where that depends on it. */
const SIZES: Readonly<Record<ValueType, number>> = {
  u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, bool: 1, string: 0, array: 0, u64: 8, i64: 8, f64: 8,
};

/** A value: 64-bit integers are bigint, always; the smaller ones and floats are numbers. */
export type MetadataValue = number | bigint | boolean | string | MetadataArray;

/** The numbers of an array as the platform has them. */
export type NumberArray =
  | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | BigUint64Array
  | BigInt64Array | Float64Array;

const NUMBER_ARRAYS = {
  u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array,
  f32: Float32Array, bool: Uint8Array, u64: BigUint64Array, i64: BigInt64Array, f64: Float64Array,
} as const;

const typeOf = (number: number): ValueType => TYPES[number] ?? 'u8';

/** The memory of a model, as long as it is open; afterwards nothing holds it, and it can be collected. */
export class Memory {
  #engine: Engine | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Throws 'closed' once the model is. */
  get engine(): Engine {
    if (!this.#engine) throw makeError('closed', 'the model is closed: what it gave out ended with it (closed)');
    return this.#engine;
  }

  /** Lets go of it. Undefined the second time. */
  drop(): Engine | undefined {
    const engine = this.#engine;
    this.#engine = undefined;
    return engine;
  }

  get isDropped(): boolean {
    return this.#engine === undefined;
  }
}

/** One number at a place. */
function numberAt(data: DataView, type: ValueType, at: number): number | bigint | boolean {
  switch (type) {
    case 'u8': return data.getUint8(at);
    case 'i8': return data.getInt8(at);
    case 'u16': return data.getUint16(at, true);
    case 'i16': return data.getInt16(at, true);
    case 'u32': return data.getUint32(at, true);
    case 'i32': return data.getInt32(at, true);
    case 'f32': return data.getFloat32(at, true);
    case 'f64': return data.getFloat64(at, true);
    case 'u64': return data.getBigUint64(at, true);
    case 'i64': return data.getBigInt64(at, true);
    default: return data.getUint8(at) !== 0;
  }
}

const STRING_HEAD = 8; // u64 length
const ARRAY_HEAD = 12; // u32 element type, u64 count

/**
 * An array of a model's metadata: a view of the file, of which nothing is decoded before it is asked for.
 * The vocabulary of a tokenizer costs nothing until then. Dies with its model.
 */
export class MetadataArray implements Iterable<MetadataValue> {
  readonly length: number;
  readonly elementType: ValueType;
  readonly #memory: Memory;
  readonly #address: number;
  readonly #size: number;
  #starts: Float64Array | undefined; // of elements that differ in size

  /** @internal */
  constructor(memory: Memory, address: number, size: number, elementType: ValueType, length: number) {
    this.#memory = memory;
    this.#address = address;
    this.#size = size;
    this.elementType = elementType;
    this.length = length;
  }

  #bytes(): Uint8Array {
    return this.#memory.engine.bytes(this.#address, this.#size);
  }

  /** Element `index`, from the end where it is negative; undefined where there is none. */
  at(index: number): MetadataValue | undefined {
    const position = Math.trunc(index) < 0 ? this.length + Math.trunc(index) : Math.trunc(index);
    if (!(position >= 0 && position < this.length)) return undefined;
    const bytes = this.#bytes();
    const size = SIZES[this.elementType];
    const at = size > 0 ? position * size : (this.#index(bytes)[position] ?? 0);
    return this.#decode(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at).value;
  }

  *[Symbol.iterator](): IterableIterator<MetadataValue> {
    let bytes = this.#bytes();
    let data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0, at = 0; i < this.length; ++i) {
      // In between the model may have been closed, or its memory may have grown.
      if (this.#memory.engine.heap.buffer !== bytes.buffer) {
        bytes = this.#bytes();
        data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      }
      const { value, end } = this.#decode(bytes, data, at);
      at = end;
      yield value;
    }
  }

  /** All elements, decoded. */
  toArray(): MetadataValue[] {
    const bytes = this.#bytes();
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const all: MetadataValue[] = [];
    for (let i = 0, at = 0; i < this.length; ++i) {
      const { value, end } = this.#decode(bytes, data, at);
      all.push(value);
      at = end;
    }
    return all;
  }

  /** The numbers (bools as 0 and 1), copied. Throws 'wrong_type' for strings and arrays. */
  typed(): NumberArray {
    const type = this.elementType;
    if (type === 'string' || type === 'array') throw makeError('wrong_type', `elements are of type ${type}, not numbers (wrong_type)`);
    return new NUMBER_ARRAYS[type](this.#bytes().slice().buffer);
  }

  /** Where each element begins, found once. */
  #index(bytes: Uint8Array): Float64Array {
    if (this.#starts) return this.#starts;
    const starts = new Float64Array(this.length);
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0, at = 0; i < this.length; ++i) {
      starts[i] = at;
      at = this.#end(data, this.elementType, at);
    }
    this.#starts = starts;
    return starts;
  }

  /** Where an element ends. */
  #end(data: DataView, type: ValueType, at: number): number {
    if (type === 'string') return at + STRING_HEAD + Number(data.getBigUint64(at, true));
    if (type !== 'array') return at + SIZES[type];
    const element = typeOf(data.getUint32(at, true));
    const count = Number(data.getBigUint64(at + 4, true));
    let end = at + ARRAY_HEAD;
    if (SIZES[element] > 0) return end + count * SIZES[element];
    for (let i = 0; i < count; ++i) end = this.#end(data, element, end);
    return end;
  }

  #decode(bytes: Uint8Array, data: DataView, at: number): { value: MetadataValue; end: number } {
    const type = this.elementType;
    const end = this.#end(data, type, at);
    if (type === 'string') return { value: decodeText(bytes.subarray(at + STRING_HEAD, end)), end };
    if (type !== 'array') return { value: numberAt(data, type, at), end };
    const inner = at + ARRAY_HEAD;
    const element = typeOf(data.getUint32(at, true));
    const count = Number(data.getBigUint64(at + 4, true));
    return { value: new MetadataArray(this.#memory, this.#address + inner, end - inner, element, count), end };
  }
}

/** A key with its value. */
export interface MetadataEntry {
  readonly key: string;
  readonly type: ValueType;
  readonly value: MetadataValue;
  /** The byte of the file where the entry begins. */
  readonly offset: number;
}

const bits = new DataView(new ArrayBuffer(8));

function valueOf(memory: Memory, found: Structure<'value'>): MetadataValue {
  const type = typeOf(found.type);
  if (type === 'string') return memory.engine.text(found.data, found.size);
  if (type === 'array') return new MetadataArray(memory, found.data, found.size, typeOf(found.elementType), Number(found.bits));
  bits.setBigUint64(0, found.bits, true);
  return numberAt(bits, type, 0);
}

/** All metadata of a model, in the file's own order. */
export class Metadata implements Iterable<[string, MetadataValue]> {
  readonly size: number;
  readonly #memory: Memory;
  readonly #model: number;

  /** @internal */
  constructor(memory: Memory, model: number, size: number) {
    this.#memory = memory;
    this.#model = model;
    this.size = size;
  }

  /** The value of a key; undefined where it is not there. */
  get(key: string): MetadataValue | undefined {
    const found = this.#find(key);
    return found && valueOf(this.#memory, found);
  }

  /** The type of a key's value; undefined where it is not there. */
  typeOf(key: string): ValueType | undefined {
    const found = this.#find(key);
    return found && typeOf(found.type);
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined;
  }

  #find(key: string): Structure<'value'> | undefined {
    const { engine } = this.#memory;
    return engine.withText(key, (text, size) => engine.look('ballast_model_value', 'value', this.#model, text, size));
  }

  /** Entry `index`, in the file's own order. */
  entry(index: number): MetadataEntry | undefined {
    const { engine } = this.#memory;
    if (!(Number.isInteger(index) && index >= 0 && index < this.size)) return undefined;
    const found = engine.look('ballast_model_entry', 'entry', this.#model, index);
    if (!found) return undefined;
    const key = engine.text(found.key, found.keySize);
    return { key, type: typeOf(found.type), value: valueOf(this.#memory, found), offset: found.offset ?? 0 };
  }

  *entries(): IterableIterator<MetadataEntry> {
    for (let i = 0; i < this.size; ++i) {
      const entry = this.entry(i);
      if (entry) yield entry;
    }
  }

  *keys(): IterableIterator<string> {
    for (const { key } of this.entries()) yield key;
  }

  *[Symbol.iterator](): IterableIterator<[string, MetadataValue]> {
    for (const { key, value } of this.entries()) yield [key, value];
  }
}
