// What values.ts is asked, and what it answers: of the main part of the package only types.
import type { WorkOptions } from './load.js';
import type { TensorInfo } from './model.js';

/** What values come as. Half-precision is rounded to the nearest, ties to even. 'own' is the tensor's own type. */
export type ValueForm = 'f32' | 'f16' | 'bf16' | 'own';

/** Float16Array, where the types of the platform have it. */
export type Float16ArrayIfAny = typeof globalThis extends { Float16Array: { readonly prototype: infer T } } ? T : never;

/**
 * Values: Float32Array for 'f32'; for 'f16' Float16Array where the engine has it, else Uint16Array with their bits, as
 * for 'bf16'; for 'own' what the dtype is. Of C64, real and imaginary parts in turn.
 */
export type ValueArray =
  | Float16ArrayIfAny
  | Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Int8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer> | Int16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;

/** Which values of a tensor. */
export interface StatsOptions extends WorkOptions {
  /** From the first number up to but not the second; by default all. */
  readonly rows?: readonly [begin: number, end: number] | undefined;
}

/** Which values of a tensor, and as what. */
export interface ValuesOptions extends StatsOptions {
  /** By default 'f32', and 'own' for I32, I64, U32 and U64, which float32 does not hold. */
  readonly as?: ValueForm | undefined;
  /** An array of exactly that length and type to be filled, instead of a new one. */
  readonly into?: ValueArray | undefined;
}

/** What many numbers are like. NaN and infinities are counted, and take no part in the rest. */
export interface Statistics {
  /** Of all numbers. */
  readonly count: number;
  readonly nan: number;
  readonly positiveInfinity: number;
  readonly negativeInfinity: number;
  /** Of both signs. */
  readonly zero: number;
  /** Of the finite ones, and so on; 0 where there are none. */
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Of the whole population. */
  readonly standardDeviation: number;
  readonly histogram: Histogram;
}

/**
 * How often numbers lie in bins of one width, a power of two. `counts[i]` is of bin `first + i`; bin b >= 0 has the
 * numbers from b * binWidth up to but not (b + 1) * binWidth, and bin -1 - b the negative ones of the same magnitudes.
 */
export interface Histogram {
  /** 0 where there are none but zeros. */
  readonly binWidth: number;
  readonly first: number;
  readonly counts: Float64Array<ArrayBuffer>;
}

/** The bytes of a tensor, wherever they are. */
export interface TensorBytes {
  /** A range of them, as a view to be taken anew each time: the memory that they lie in may grow. */
  read(begin: number, end: number, signal: AbortSignal | undefined): Promise<() => Uint8Array> | (() => Uint8Array);
}

/** What reads values. */
export interface ValuesTool {
  values(tensor: TensorInfo, source: TensorBytes, options: ValuesOptions): Promise<ValueArray>;
  stats(tensor: TensorInfo, source: TensorBytes, options: StatsOptions): Promise<Statistics>;
}

/** Gets it, when it is wanted. */
export type ValuesGetter = () => Promise<ValuesTool>;
