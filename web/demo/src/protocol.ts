// What the page asks its worker, and what it is answered.
import type { ErrorCode, MetadataValue, Shard, Statistics, ValueType, Warning } from 'ballast-loader';

export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'files'; readonly files: readonly File[] };

/** How far some work is. */
export interface Step {
  readonly loaded: number;
  readonly total: number | undefined;
  readonly decoded: number;
  /** Bytes in a second. */
  readonly rate: number;
}

/** What went wrong, as an error of the package tells it. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code?: ErrorCode | undefined;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** All tensors of one dtype together. */
export interface DtypeShare {
  readonly dtype: string;
  readonly tensors: number;
  readonly bytes: number;
  readonly elements: number;
}

export interface Summary {
  readonly format: 'gguf' | 'safetensors';
  readonly version: number | undefined;
  readonly title: string | undefined;
  readonly architecture: string | undefined;
  readonly parameters: number;
  readonly tensors: number;
  readonly entries: number;
  readonly shards: readonly Shard[];
  readonly warnings: readonly Warning[];
  readonly dtypes: readonly DtypeShare[];
  /** Of all files, where that is known. */
  readonly fileBytes: number | undefined;
  readonly bytesRead: number;
  /** What the whole model takes in memory, and what there is room for here. */
  readonly needed: number;
  readonly limit: number;
  readonly milliseconds: number;
  /** Whether single tensors can be read: not of what is compressed. */
  readonly hasParts: boolean;
}

export interface TensorRow {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly offset: number;
  /** Undefined where the dtype is not known. */
  readonly bytes: number | undefined;
  readonly shard: number;
  readonly blockElements: number;
  readonly blockBytes: number;
  /** As numbers are laid out: rows of those that lie side by side. */
  readonly rows: number;
  readonly columns: number;
}

export type Plain = Exclude<MetadataValue, object> | string;

export interface ArrayHead {
  readonly element: ValueType;
  readonly length: number;
  readonly first: readonly Plain[];
}

export interface Entry {
  readonly key: string;
  readonly type: ValueType;
  readonly value: Plain | ArrayHead;
}

/** Some elements of an array, by their numbers. */
export interface Elements {
  /** How many there are, or match. */
  readonly total: number;
  readonly items: readonly (readonly [index: number, value: Plain])[];
}

export interface TensorStatistics extends Statistics {
  readonly milliseconds: number;
}

/** Numbers of a part of a tensor, row by row. */
export interface Slice {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array | Float64Array;
  /** The same as text, for a row. */
  readonly texts: readonly string[];
}

export interface Block {
  readonly bytes: Uint8Array;
  readonly values: readonly number[];
}

/** What a way of loading took. */
export interface Cost {
  readonly milliseconds: number;
  /** Bytes of all buffers at the same time, at the most. */
  readonly peak: number;
  /** Bytes that were copied from one buffer to another. */
  readonly copied: number;
}

export interface Loaded extends Cost {
  /** Bytes of the model in memory. */
  readonly bytes: number;
  readonly used: number;
  readonly bits: 32 | 64;
}

export interface Comparison {
  readonly ours: Cost;
  /** A reason where it cannot be done. */
  readonly naive: Cost | string;
}

export interface Environment {
  readonly hasWasm64: boolean;
  readonly hasOwnFiles: boolean;
  readonly quota: number | undefined;
  readonly usage: number | undefined;
  readonly cores: number;
  /** GiB, rounded, where the engine tells. */
  readonly deviceMemory: number | undefined;
  readonly isIsolated: boolean;
}

/** What a call is given beside its arguments. */
export interface Context {
  readonly signal: AbortSignal;
  readonly report: (step: Step) => void;
}

export type Request = { readonly id: number; readonly method: string; readonly args: readonly unknown[] } | { readonly cancel: number };

export type Answer =
  | { readonly id: number; readonly step: Step }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure };
