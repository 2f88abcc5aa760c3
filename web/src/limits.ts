// What a caller allows: options that are numbers, and the memory of a model.
import { BallastError, makeError } from './errors.js';
import type { OpenOptions } from './load.js';
import { kindOf } from './sources.js';

/** The options that are integers, by the least that each can be. */
const INTEGERS = { maxBytes: 0, maxWindow: 0, maxRatio: 1 } as const;

/** Throws 'misuse' where an option has a value that means nothing. */
export function checkOptions(options: OpenOptions): void {
  const refuse = (name: string, value: unknown, what: string): never => {
    throw makeError('misuse', `the option ${name} must be ${what}, not ${typeof value === 'number' ? value : kindOf(value)}`);
  };
  for (const [name, least] of Object.entries(INTEGERS)) {
    const value = options[name as keyof typeof INTEGERS];
    const isAllowed = value === undefined || value === Infinity || (Number.isInteger(value) && value >= least && value < 2 ** 64);
    if (!isAllowed) refuse(name, value, `an integer from ${least}, or Infinity`);
  }
  const { bits } = options;
  if (bits !== undefined && bits !== 32 && bits !== 64) refuse('bits', bits, '32 or 64');
}

/** The bytes that all files of a model may take in memory together. */
export class Budget {
  readonly #most: number;
  /** What the files that are there have taken. */
  used = 0;

  constructor({ maxBytes = Infinity }: OpenOptions) {
    this.#most = maxBytes;
  }

  /** What the next file may take. */
  get left(): number {
    return this.#most - this.used;
  }

  /** Throws 'too_large' where so much more is too much. */
  check(size: number, path: string): void {
    if (size > this.left) throw this.#excess(size, path);
  }

  /** The error of a file that did not fit: by what all files need, where others have taken a part. */
  explain(error: unknown, path: string): unknown {
    if (!(error instanceof BallastError) || error.code !== 'too_large' || this.used === 0) return error;
    const { expected } = error;
    return expected !== undefined && expected > this.left ? this.#excess(expected, path) : error;
  }

  #excess(size: number, path: string): BallastError {
    const expected = this.used + size;
    const actual = this.#most;
    return makeError('too_large', `${path === '' ? 'the model' : path}: ${expected} bytes are needed with the files before it, and at most ${actual} may be used: raise maxBytes`, {
      expected, actual, file: path === '' ? undefined : path,
    });
  }
}
