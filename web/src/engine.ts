// Engine: one instance of the C API, ours or the caller's own, with its memory.
import type { FieldType, FunctionName, OptionName, Structure, StructureName } from './abi.js';
import {
  HAS_ACTUAL, HAS_EXPECTED, HAS_INPUT_OFFSET, HAS_OFFSET, OPTIONS, SIGNATURES, STRUCTURES, SUBJECT_KEY,
  SUBJECT_TENSOR,
} from './abi.js';
import type { ErrorCode } from './codes.js';
import { NATIVE_CODES } from './codes.js';
import type { BallastError } from './errors.js';
import { makeError } from './errors.js';

/** A function of a WebAssembly module. */
export type Callable = (...args: (number | bigint)[]) => number | bigint | undefined;

/** What an engine is made of. */
export interface Parts {
  readonly bits: 32 | 64;
  /** The function of ballast.h of that name. */
  readonly find: (name: FunctionName) => Callable;
  readonly malloc: (size: number) => number;
  readonly free: (address: number) => void;
  /** The memory as it is now: growing leaves every older view empty. */
  readonly heap: () => Uint8Array;
  /** Bytes that are allocated now; undefined where nobody counts. */
  readonly used?: () => number;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** Whether browsers decode bytes where they are: not in a memory that threads share, or that resizes in place. */
const isPlain = (buffer: ArrayBufferLike): boolean =>
  buffer instanceof ArrayBuffer && !('resizable' in buffer && buffer.resizable === true);

/** Text of a file: what is not UTF-8 becomes U+FFFD, and a byte order mark stays. */
export const decodeText = (bytes: Uint8Array): string => decoder.decode(isPlain(bytes.buffer) ? bytes : new Uint8Array(bytes));
export const encodeText = (text: string): Uint8Array => encoder.encode(text);

const isNativeCode = (name: string): name is ErrorCode => (NATIVE_CODES as readonly string[]).includes(name);

/** The codes that the C++ library takes from the operating system, as this package knows them. */
function codeOf(name: string): ErrorCode {
  if (isNativeCode(name)) return name;
  if (name === 'not_enough_memory') return 'out_of_memory';
  return 'system_error';
}

const SCRATCH = 256;
const OUT = 16; // what calls put out, in the scratch; behind it structures
const FIELDS = 64;

interface Place {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
}

/** Two halves, because a bigint would be an object for each of the ten thousand tensors that a model may have. */
function u64At(words: Uint32Array, at: number): number | undefined {
  const low = words[at] as number;
  const high = words[at + 1] as number;
  return low === 0xffff_ffff && high === 0xffff_ffff ? undefined : high * 2 ** 32 + low;
}

/** A structure in memory. */
interface Shape {
  readonly places: readonly Place[];
  /** An object with all of its fields: a copy of it never has to grow. */
  readonly empty: Readonly<Record<string, number | bigint | undefined>>;
}

const shapes = { 32: new Map<StructureName, Shape>(), 64: new Map<StructureName, Shape>() };

/** Where the fields of a structure lie, found once: each at a multiple of its size. */
function shapeOf(kind: StructureName, bits: 32 | 64): Shape {
  const known = shapes[bits].get(kind);
  if (known) return known;
  let end = 0;
  const places = STRUCTURES[kind].map(([name, type]) => {
    const size = type === 'i' ? 4 : type === 'p' ? bits / 8 : 8;
    const offset = Math.ceil(end / size) * size;
    end = offset + size;
    return { name, type, offset };
  });
  const shape = { places, empty: Object.fromEntries(places.map(({ name }) => [name, 0])) };
  shapes[bits].set(kind, shape);
  return shape;
}

export class Engine {
  readonly bits: 32 | 64;
  readonly #parts: Parts;
  readonly #calls = new Map<FunctionName, Callable>();
  readonly #scratch: number;
  #view: Uint32Array | undefined;

  constructor(parts: Parts) {
    this.bits = parts.bits;
    this.#parts = parts;
    this.#scratch = parts.malloc(SCRATCH);
    if (this.#scratch === 0) throw makeError('out_of_memory', 'there is no memory for the module itself');
  }

  // ---- Memory -----------------------------------------------------------------------------------

  get heap(): Uint8Array {
    return this.#parts.heap();
  }

  /** Bytes that are allocated now, and the most that the memory has ever been: it never shrinks. */
  memory(): { used: number; peak: number } {
    const peak = this.heap.byteLength;
    return { used: this.#parts.used?.() ?? peak, peak };
  }

  /** A view of the memory, valid until something is called. */
  bytes(address: number, size: number): Uint8Array {
    return this.heap.subarray(address, address + size);
  }

  text(address: number, size?: number): string {
    const heap = this.heap;
    const end = size === undefined ? heap.indexOf(0, address) : address + size;
    return decodeText(heap.subarray(address, end));
  }

  /** The memory as words, which every field of a structure begins with one of. */
  get #words(): Uint32Array {
    const { buffer } = this.heap;
    if (this.#view?.buffer !== buffer) this.#view = new Uint32Array(buffer);
    return this.#view;
  }

  pointer(address: number): number {
    return this.bits === 32 ? (this.#words[address / 4] as number) : this.u64(address) ?? 0;
  }

  /** A uint64_t, rounded beyond 2^53; undefined where it is BALLAST_UNKNOWN. */
  u64(address: number): number | undefined {
    return u64At(this.#words, address / 4);
  }

  #store(address: number, pointer: number): void {
    this.#words[address / 4] = pointer;
    if (this.bits === 64) this.#words[address / 4 + 1] = pointer / 2 ** 32;
  }

  allocate(size: number): number {
    const address = this.#parts.malloc(Math.max(size, 1));
    if (address === 0) throw makeError('out_of_memory', `${size} bytes of memory could not be allocated`, { expected: size });
    return address;
  }

  free(address: number): void {
    this.#parts.free(address);
  }

  /** Does something with text, terminated, in memory of its own. */
  withText<T>(text: string, use: (address: number, size: number) => T): T {
    const bytes = encodeText(text);
    const address = this.allocate(bytes.length + 1);
    try {
      const heap = this.heap;
      heap.set(bytes, address);
      heap[address + bytes.length] = 0;
      return use(address, bytes.length);
    } finally {
      this.free(address);
    }
  }

  // ---- Calls ------------------------------------------------------------------------------------

  call(name: FunctionName, ...args: (number | bigint)[]): number {
    let call = this.#calls.get(name);
    if (!call) this.#calls.set(name, (call = this.#callable(name)));
    return call(...args) as number;
  }

  /** A function that takes numbers, whatever the module wants, and answers one. */
  #callable(name: FunctionName): Callable {
    const [parameters = '', result = ''] = SIGNATURES[name].split('>');
    const call = this.#parts.find(name);
    if (this.bits === 32 && !parameters.includes('u')) {
      return result === 'p' ? (...args) => Number(call(...args)) >>> 0 : (...args) => call(...args) ?? 0;
    }
    const wide = this.bits === 64 ? 'pu' : 'u';
    const isWide = Array.from(parameters, (kind) => wide.includes(kind));
    return (...args) => Number(call(...args.map((arg, i) => (isWide[i] === true ? BigInt(arg) : Number(arg)))) ?? 0);
  }

  /** A call whose last argument is a ballast_error **, and which fails where it answers a code. */
  must(name: FunctionName, ...args: (number | bigint)[]): void {
    const code = this.call(name, ...args, this.#scratch);
    if (code !== 0) throw this.#takeError(code);
  }

  /** The same for calls that put out a handle before the error. */
  make(name: FunctionName, ...args: (number | bigint)[]): number {
    this.must(name, ...args, this.#scratch + OUT);
    return this.pointer(this.#scratch + OUT);
  }

  /** Two pointers that a call puts out. */
  pair(name: FunctionName, ...args: (number | bigint)[]): readonly [number, number] {
    const out = this.#scratch + OUT;
    this.must(name, ...args, out, out + 8);
    return [this.pointer(out), this.pointer(out + 8)];
  }

  #takeError(code: number): BallastError {
    const address = this.pointer(this.#scratch);
    if (address === 0) return makeError('out_of_memory', 'there is no memory left, not even for the error', { actual: code });
    const error = this.read('error', address);
    const has = (bit: number, value: number | undefined) => ((error.has & bit) !== 0 ? (value ?? 2 ** 64) : undefined);
    const subject = this.text(error.subject, error.subjectSize);
    const path = this.text(error.path);
    const made = makeError(codeOf(this.text(error.name)), this.text(error.what), {
      offset: has(HAS_OFFSET, error.offset),
      expected: has(HAS_EXPECTED, error.expected),
      actual: has(HAS_ACTUAL, error.actual),
      inputOffset: has(HAS_INPUT_OFFSET, error.inputOffset),
      tensor: error.subjectKind === SUBJECT_TENSOR ? subject : undefined,
      key: error.subjectKind === SUBJECT_KEY ? subject : undefined,
      file: path === '' ? undefined : path,
    });
    this.call('ballast_error_free', address);
    return made;
  }

  /** The structure at an address. */
  read<Name extends StructureName>(kind: Name, address: number): Structure<Name> {
    const { places, empty } = shapeOf(kind, this.bits);
    const fields = { ...empty };
    const words = this.#words;
    for (const { name, type, offset } of places) {
      const at = (address + offset) / 4;
      fields[name] = type === 'i' ? (words[at] as number) | 0
        : type === 'u' ? u64At(words, at)
        : type === 'b' ? (BigInt(words[at + 1] as number) << 32n) | BigInt(words[at] as number)
        : this.bits === 32 ? words[at] : u64At(words, at) ?? 0;
    }
    return fields as unknown as Structure<Name>;
  }

  /** What a call fills in, or undefined where it answers 0. Calls without a result always fill it in. */
  look<Name extends StructureName>(name: FunctionName, kind: Name, ...args: (number | bigint)[]): Structure<Name> | undefined {
    const out = this.#scratch + FIELDS;
    const answer = this.call(name, ...args, out);
    return SIGNATURES[name].includes('>') && answer === 0 ? undefined : this.read(kind, out);
  }

  /** A list of pointers, for the duration of a call. */
  withPointers<T>(pointers: readonly number[], use: (address: number) => T): T {
    const width = this.bits / 8;
    const address = this.allocate(pointers.length * width);
    try {
      pointers.forEach((pointer, i) => this.#store(address + i * width, pointer));
      return use(address);
    } finally {
      this.free(address);
    }
  }

  /** Options for the duration of a call. */
  withOptions<T>(settings: Settings, use: (options: number) => T): T {
    const options = this.call('ballast_options_create');
    if (options === 0) throw makeError('out_of_memory', 'there is no memory left');
    try {
      for (const [name, number] of Object.entries(OPTIONS)) {
        const value = settings[name as OptionName];
        if (value === undefined) continue;
        if (this.call('ballast_options_set', options, number, value === Infinity ? 2n ** 64n - 1n : BigInt(value)) !== 0) {
          throw makeError('misuse', `the option ${name} cannot be ${value}`);
        }
      }
      const { path } = settings;
      if (path !== undefined) this.withText(path, (text) => this.call('ballast_options_set_path', options, text));
      return use(options);
    } finally {
      this.call('ballast_options_free', options);
    }
  }
}

/** Options of the C API. */
export type Settings = { readonly [Name in OptionName]?: number | boolean | undefined } & {
  readonly path?: string | undefined;
};
