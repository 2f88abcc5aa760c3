// Errors: what is wrong, where, and what to do about it, under a code that stays the same.
import type { ErrorCode } from './codes.js';

/** What is known of an error beside its message. */
export interface ErrorDetails {
  /** The byte of the (decoded) file that is at fault. */
  readonly offset?: number | undefined;
  /** Of a compressed file: how far it had been decoded, in bytes of it. */
  readonly inputOffset?: number | undefined;
  /** How much there should have been. */
  readonly expected?: number | undefined;
  /** How much there was. */
  readonly actual?: number | undefined;
  /** The tensor that is at fault. */
  readonly tensor?: string | undefined;
  /** The metadata key that is at fault. */
  readonly key?: string | undefined;
  /** The path or URL of the file that is at fault. */
  readonly file?: string | undefined;
  /** The status of an HTTP response. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/** Everything that this package throws, but for the reason of an AbortSignal. */
export class BallastError extends Error {
  override readonly name: string = 'BallastError';
  /** Stable, in snake_case: 'truncated', 'html_page', 'out_of_memory' ... */
  readonly code: ErrorCode;
  readonly offset: number | undefined;
  readonly inputOffset: number | undefined;
  readonly expected: number | undefined;
  readonly actual: number | undefined;
  readonly tensor: string | undefined;
  readonly key: string | undefined;
  readonly file: string | undefined;
  readonly status: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.offset = details.offset;
    this.inputOffset = details.inputOffset;
    this.expected = details.expected;
    this.actual = details.actual;
    this.tensor = details.tensor;
    this.key = details.key;
    this.file = details.file;
    this.status = details.status;
  }
}

/** The bytes are no model, or a damaged one. */
export class FormatError extends BallastError {
  override readonly name = 'FormatError';
}

/** The compressed bytes are damaged, or of a kind that is not decoded here. */
export class CompressionError extends BallastError {
  override readonly name = 'CompressionError';
}

/** More memory than there is, or than was allowed. */
export class LimitError extends BallastError {
  override readonly name = 'LimitError';
}

/** The bytes could not be had: a file, a server, a connection. */
export class SourceError extends BallastError {
  override readonly name = 'SourceError';
}

/** The caller asked for what is not there. */
export class UsageError extends BallastError {
  override readonly name = 'UsageError';
}

type Kind = new (code: ErrorCode, message: string, details?: ErrorDetails) => BallastError;

const KINDS: readonly (readonly [Kind, readonly ErrorCode[]])[] = [
  [
    CompressionError,
    [
      'codec_missing', 'still_compressed', 'not_mappable_compressed', 'truncated_stream', 'damaged_stream',
      'bad_checksum', 'unsupported_stream', 'garbage_after_stream', 'compressed_twice',
    ],
  ],
  [
    LimitError,
    [
      'out_of_memory', 'too_large', 'vector_limit', 'ratio_too_high', 'window_too_large', 'too_many_tensors',
      'too_many_entries', 'string_too_long', 'header_too_large', 'no_wasm64',
    ],
  ],
  [
    SourceError,
    [
      'file_changed', 'incomplete_input', 'range_outside_file', 'http_status', 'network', 'bad_range',
      'missing_shard', 'no_such_file_or_directory', 'permission_denied', 'is_a_directory', 'system_error',
      'no_module',
    ],
  ],
  [
    UsageError,
    [
      'no_such_tensor', 'wrong_type', 'not_loaded', 'misuse', 'closed', 'unsupported_source',
      'cannot_read_again', 'unknown_dtype', 'rows_outside', 'wrong_length',
    ],
  ],
];

/** What makes an error, lent to what is loaded apart. */
export type ErrorMaker = (code: ErrorCode, message: string, details?: ErrorDetails) => BallastError;

// What repaints a terminal, turns text around or is not seen: what the library's own messages escape (text.hpp).
const UNSEEN = /[\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]/gu;

/** A message with names of files and tensors in it, which may be anything, made safe to show. */
function printable(text: string): string {
  return text.replace(UNSEEN, (sign) => {
    const hex = (sign.codePointAt(0) ?? 0).toString(16);
    return sign < '\x80' ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex.padStart(4, '0')}}`;
  });
}

/**
 * The error of the class that a code belongs to. Messages end with the code, as the library's own do, and are safe to
 * print.
 */
export function makeError(code: ErrorCode, message: string, details: ErrorDetails = {}): BallastError {
  const told = message.includes(`(${code}`) ? message : `${message} (${code})`;
  const kind = KINDS.find(([, codes]) => codes.includes(code))?.[0] ?? FormatError;
  return new kind(code, printable(told), details);
}
