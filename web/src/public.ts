// What every entry of the package gives beside its functions.
export type { Api, Preflight } from './api.js';
export type { ErrorCode } from './codes.js';
export { NATIVE_CODES, PACKAGE_CODES } from './codes.js';
export type { ErrorDetails } from './errors.js';
export { BallastError, CompressionError, FormatError, LimitError, SourceError, UsageError } from './errors.js';
export { Head, HeadTensor } from './head.js';
export type { LoadOptions } from './head.js';
export type { OpenOptions, Progress, WorkOptions } from './load.js';
export type { MetadataEntry, MetadataValue, NumberArray, ValueType } from './metadata.js';
export { Metadata, MetadataArray } from './metadata.js';
export type { MemoryUse, Shard, TypedArray, TypedValues, Warning } from './model.js';
export { Model, ReadableTensor, Tensor, TensorInfo } from './model.js';
export type { FileHandleLike, FileSource, NetworkOptions, NodeFileHandle, Source, SyncAccessHandle } from './sources.js';
export type { Histogram, Statistics, StatsOptions, ValueArray, ValueForm, ValuesOptions } from './values_api.js';
export type { WasmSource } from './wasm.js';
export { hasWasm64 } from './wasm.js';
