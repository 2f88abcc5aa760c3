// Engine: one instance of the C API, ours or the caller's own, with its memory.
import type { FunctionName, OptionName, Structure, StructureName } from './abi.js';
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
  readonly type: 'u' | 'i' | 'p';
  readonly offset: number;
}

const places = { 32: new Map<StructureName, readonly Place[]>(), 64: new Map<StructureName, readonly Place[]>() };

/** Where the fields of a structure lie, found once: each at a multiple of its size. */
function placesOf(kind: StructureName, bits: 32 | 64): readonly Place[] {
  const known = places[bits].get(kind);
  if (known) return known;
  let end = 0;
  const found = STRUCTURES[kind].map(([name, type]) => {
    const size = type === 'u' ? 8 : type === 'i' ? 4 : bits / 8;
    const offset = Math.ceil(end / size) * size;
    end = offset + size;
    return { name, type, offset };
  });
  places[bits].set(kind, found);
  return found;
}

export class Engine {
  readonly bits: 32 | 64;
  readonly #parts: Parts;
  readonly #calls = new Map<FunctionName, { call: Callable; parameters: string; result: string }>();
  readonly #scratch: number;
  #view: DataView | undefined;

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

  get #data(): DataView {
    const { buffer } = this.heap;
    if (this.#view?.buffer !== buffer) this.#view = new DataView(buffer);
    return this.#view;
  }

  pointer(address: number): number {
    return this.bits === 64 ? Number(this.#data.getBigUint64(address, true)) : this.#data.getUint32(address, true);
  }

  u64(address: number): bigint {
    return this.#data.getBigUint64(address, true);
  }

  #store(address: number, pointer: number): void {
    if (this.bits === 64) this.#data.setBigUint64(address, BigInt(pointer), true);
    else this.#data.setUint32(address, pointer, true);
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
    let entry = this.#calls.get(name);
    if (!entry) {
      const [parameters = '', result = ''] = SIGNATURES[name].split('>');
      entry = { call: this.#parts.find(name), parameters, result };
      this.#calls.set(name, entry);
    }
    const { call, parameters, result } = entry;
    const wide = this.bits === 64 ? 'pu' : 'u';
    const given = args.map((arg, i) => (wide.includes(parameters.charAt(i)) ? BigInt(arg) : Number(arg)));
    const answer = Number(call(...given) ?? 0);
    return result === 'p' && this.bits === 32 ? answer >>> 0 : answer;
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
    const has = (bit: number, value: bigint) => ((error.has & bit) !== 0 ? Number(value) : undefined);
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
    const fields: Record<string, number | bigint> = {};
    const data = this.#data;
    const isWide = this.bits === 64;
    for (const { name, type, offset } of placesOf(kind, this.bits)) {
      const at = address + offset;
      if (type === 'i') fields[name] = data.getInt32(at, true);
      else if (type === 'p' && !isWide) fields[name] = data.getUint32(at, true);
      else fields[name] = type === 'p' ? Number(data.getBigUint64(at, true)) : data.getBigUint64(at, true);
    }
    return fields as Structure<Name>;
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
        if (this.call('ballast_options_set', options, number, BigInt(value)) !== 0) {
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
