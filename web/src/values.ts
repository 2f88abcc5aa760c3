// The values of tensors, of every dtype, and their statistics: a module of its own, and what drives it. Fetched when
// the first values are wanted, so that pages which only load do not pay for it.
//
// The module has a small memory. Bytes go in a piece at a time, from the memory of a model or from a file, and numbers
// come out into arrays of JavaScript's own, which outlive the model.
import type { ErrorMaker } from './errors.js';
import type { WorkOptions } from './load.js';
import type { TensorInfo } from './model.js';
import type {
  Statistics, StatsOptions, TensorBytes, ValueArray, ValueForm, ValuesOptions, ValuesTool,
} from './values_api.js';

/** What the main part of the package lends: errors are of its classes. */
export interface Surroundings {
  readonly makeError: ErrorMaker;
  /** The module, compiled. */
  readonly module: () => Promise<WebAssembly.Module>;
}

type ArrayOf<T extends ValueArray> = {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
};

const FORMS: readonly ValueForm[] = ['f32', 'f16', 'bf16']; // in the order of BALLAST_AS_...

/** Float16Array where the engine has it, else the bits. */
const Half = ((globalThis as { Float16Array?: unknown }).Float16Array ?? Uint16Array) as ArrayOf<ValueArray>;

/** Dtypes whose values JavaScript has as they are. */
const OWN: Readonly<Record<string, ArrayOf<ValueArray>>> = {
  F64: Float64Array, F32: Float32Array, F16: Half, BF16: Uint16Array, C64: Float32Array,
  I64: BigInt64Array, I32: Int32Array, I16: Int16Array, I8: Int8Array,
  U64: BigUint64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array, BOOL: Uint8Array,
};

/** Dtypes that float32 does not hold: their values come as their own type where nothing is said. */
const INTEGERS: readonly string[] = ['I32', 'I64', 'U32', 'U64'];

const ARRAYS: Readonly<Record<Exclude<ValueForm, 'own'>, ArrayOf<ValueArray>>> = {
  f32: Float32Array, f16: Half, bf16: Uint16Array,
};

/** Work that goes on for longer lets others have their turn. */
const TURN_MILLISECONDS = 20;

class Module {
  readonly #call: (name: string, ...args: number[]) => number;
  readonly #memory: WebAssembly.Memory;
  /** Values that are decoded at once: a multiple of every block. */
  readonly piece: number;

  constructor({ exports }: WebAssembly.Instance) {
    this.#memory = exports['memory'] as WebAssembly.Memory;
    this.#call = (name, ...args) => (exports[`ballast_values_${name}`] as (...args: number[]) => number)(...args);
    (exports['_initialize'] as () => void)();
    this.piece = this.#call('piece');
  }

  put(bytes: Uint8Array): void {
    new Uint8Array(this.#memory.buffer).set(bytes, this.#call('input'));
  }

  /** The number of a dtype, and whether float32 holds its values. */
  dtype(name: string): { readonly number: number; readonly isFloat: boolean } {
    const bytes = new TextEncoder().encode(name.slice(0, 64));
    this.put(bytes);
    const answer = this.#call('dtype', bytes.length);
    return { number: answer % 256, isFloat: answer >= 256 };
  }

  /** Values of the blocks that were put in: a view, until the next call. */
  decode<T extends ValueArray>(kind: ArrayOf<T>, dtype: number, first: number, count: number, form: number): T {
    return new kind(this.#memory.buffer, this.#call('decode', dtype, first, count, form), count);
  }

  reset(): void {
    this.#call('reset');
  }

  add(dtype: number, first: number, count: number): void {
    this.#call('add', dtype, first, count);
  }

  finish(): Statistics {
    const at = this.#call('finish');
    const view = new DataView(this.#memory.buffer, at);
    const count = (field: number) => Number(view.getBigUint64(8 * field, true));
    const double = (field: number) => view.getFloat64(8 * field, true);
    const bins = 1024;
    const counts = Float64Array.from({ length: bins }, (_, bin) => count(10 + bin));
    const begin = counts.findIndex((number) => number > 0);
    const end = counts.findLastIndex((number) => number > 0) + 1;
    return {
      count: count(0), nan: count(1), positiveInfinity: count(2), negativeInfinity: count(3), zero: count(4),
      min: double(5), max: double(6), mean: double(7), standardDeviation: double(8),
      histogram: { binWidth: double(9), first: begin < 0 ? 0 : begin - bins / 2, counts: counts.slice(Math.max(begin, 0), end) },
    };
  }
}

/** Values of a tensor, counted one by one, and where their bytes are. */
interface Run {
  readonly tensor: TensorInfo;
  readonly begin: number; // in values
  readonly count: number;
  readonly perBlock: number; // values in a block
}

const perElement = ({ dtype }: TensorInfo): number => (dtype === 'C64' ? 2 : 1);

/** The bytes in which values lie, and the number of the first one in them. */
function place({ tensor, perBlock }: Run, first: number, count: number) {
  const block = Math.floor(first / perBlock);
  const end = Math.ceil((first + count) / perBlock);
  return { begin: block * tensor.blockBytes, end: end * tensor.blockBytes, skip: first - block * perBlock };
}

/** What waits for a turn of everybody else now and then, and ends when it is told to. */
class Turns {
  #since = performance.now();
  readonly #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.throwIfAborted();
  }

  /** Whether it has gone on for long enough. */
  get isOver(): boolean {
    return performance.now() - this.#since >= TURN_MILLISECONDS;
  }

  async next(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    this.#since = performance.now();
    this.#signal?.throwIfAborted();
  }
}

/** The tool of this module. */
export function makeTool({ makeError, module }: Surroundings): ValuesTool {
  const idle: Module[] = [];

  async function withModule<T>(use: (module: Module) => Promise<T>): Promise<T> {
    const taken = idle.pop() ?? new Module(await WebAssembly.instantiate(await module()));
    const result = await use(taken); // one that has failed is not used again
    if (idle.length < 2) idle.push(taken);
    return result;
  }

  function fail(code: 'rows_outside' | 'wrong_type' | 'wrong_length' | 'misuse', tensor: TensorInfo, text: string, numbers: object = {}): never {
    throw makeError(code, `tensor "${tensor.name}" ${text} (${code})`, { tensor: tensor.name, ...numbers });
  }

  /** The values in rows of a tensor. */
  function runOf(tensor: TensorInfo, rows: readonly [number, number] | undefined): Run {
    const { rowCount, rowElements } = tensor;
    if (rows !== undefined && !(Array.isArray(rows) && rows.length === 2)) fail('misuse', tensor, ': rows are [begin, end], counted from 0');
    const [begin, end] = rows ?? [0, rowCount];
    for (const row of [begin, end]) {
      if (!Number.isInteger(row) || row < 0) fail('misuse', tensor, `has no row ${row}: rows are [begin, end], counted from 0`);
    }
    if (end > rowCount) {
      const last = Math.max(begin, end - 1);
      fail('rows_outside', tensor, `has ${rowCount} rows, and row ${last} was asked for`, { expected: rowCount, actual: last });
    }
    if (begin > end) fail('misuse', tensor, `was asked for rows from ${begin} to ${end}, which is before`);
    const each = perElement(tensor);
    return {
      tensor, begin: begin * rowElements * each, count: (end - begin) * rowElements * each,
      perBlock: tensor.blockElements * each,
    };
  }

  /** Gives the bytes of values piece by piece to someone who is done with each before the next one comes. */
  async function eachPiece(
    run: Run, source: TensorBytes, piece: number, { signal, onProgress }: WorkOptions,
    take: (bytes: Uint8Array, skip: number, at: number, count: number) => void,
  ): Promise<void> {
    const turns = new Turns(signal);
    const whole = place(run, run.begin, run.count);
    const total = run.count === 0 ? 0 : whole.end - whole.begin;
    const started = performance.now();
    for (let at = 0; at < run.count; ) {
      // As much as the source gives at once, in pieces of the module's.
      const wanted = Math.min(run.count - at, Math.max(piece, Math.floor((4 << 20) / run.tensor.blockBytes) * run.perBlock));
      const here = place(run, run.begin + at, wanted);
      const bytes = await source.read(here.begin, here.end, signal);
      for (let done = 0; done < wanted; ) {
        const count = Math.min(piece, wanted - done);
        const { begin, end, skip } = place(run, run.begin + at + done, count);
        take(bytes().subarray(begin - here.begin, end - here.begin), skip, at + done, count);
        done += count;
        if (turns.isOver) await turns.next();
      }
      at += wanted;
      const loaded = here.end - whole.begin;
      onProgress?.({ loaded, total, decoded: loaded, rate: (1000 * loaded) / Math.max(performance.now() - started, 1) });
    }
  }

  async function own(run: Run, source: TensorBytes, kind: ArrayOf<ValueArray>, into: ValueArray | undefined, work: WorkOptions): Promise<ValueArray> {
    const out = room(run, kind, into);
    const target = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    const size = kind.BYTES_PER_ELEMENT;
    await eachPiece(run, source, 1 << 16, work, (bytes, _, at) => target.set(bytes, at * size));
    return out;
  }

  function room(run: Run, kind: ArrayOf<ValueArray>, into: ValueArray | undefined): ValueArray {
    if (into === undefined) {
      try {
        return new kind(run.count);
      } catch (cause) {
        const needed = run.count * kind.BYTES_PER_ELEMENT;
        throw makeError('out_of_memory', `${needed} bytes for the values of tensor "${run.tensor.name}" could not be allocated: ask for some rows (out_of_memory)`, { cause, expected: needed, tensor: run.tensor.name });
      }
    }
    if (!(into instanceof kind)) fail('wrong_type', run.tensor, 'has values for which `into` is an array of another type');
    if (into.length !== run.count) {
      fail('wrong_length', run.tensor, `: ${into.length} values of room were given, and ${run.count} are needed`, { expected: run.count, actual: into.length });
    }
    return into;
  }

  return {
    async values(tensor, source, { rows, as, into, ...work }: ValuesOptions) {
      const run = runOf(tensor, rows);
      const form = as ?? (INTEGERS.includes(tensor.dtype) ? 'own' : 'f32');
      const ownKind = Object.hasOwn(OWN, tensor.dtype) ? OWN[tensor.dtype] : undefined;
      if (form === 'own') {
        if (!ownKind) return fail('wrong_type', tensor, `is ${tensor.dtype}, which is no type of JavaScript's own: ask for f32, f16 or bf16`);
        return own(run, source, ownKind, into, work);
      }
      const number = FORMS.indexOf(form);
      if (number < 0) return fail('misuse', tensor, `cannot come as ${JSON.stringify(form)}: it can as f32, f16, bf16 or own`);
      const kind = ARRAYS[form];
      // What is there as it is wanted keeps its bits.
      if (tensor.dtype.toLowerCase() === form || (form === 'f32' && tensor.dtype === 'C64')) return own(run, source, kind, into, work);
      return withModule(async (module) => {
        const dtype = module.dtype(tensor.dtype);
        if (!dtype.isFloat) return fail('wrong_type', tensor, `is ${tensor.dtype}, which ${form} does not hold: take its values as 'own'`);
        const out = room(run, kind, into);
        await eachPiece(run, source, module.piece, work, (bytes, skip, at, count) => {
          module.put(bytes);
          (out as Float32Array).set(module.decode(kind, dtype.number, skip, count, number) as Float32Array, at);
        });
        return out;
      });
    },

    async stats(tensor, source, { rows, ...work }: StatsOptions) {
      const run = runOf(tensor, rows);
      return withModule(async (module) => {
        const { number } = module.dtype(tensor.dtype);
        module.reset();
        await eachPiece(run, source, module.piece, work, (bytes, skip, _, count) => {
          module.put(bytes);
          module.add(number, skip, count);
        });
        return module.finish();
      });
    },
  };
}
