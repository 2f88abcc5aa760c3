import { CallError } from './client.js';
import type { Failure } from './protocol.js';

/** What a worker has told, or what went wrong here. */
export const failureOf = (error: unknown): Failure =>
  error instanceof CallError ? error.failure : { name: 'Error', message: error instanceof Error ? error.message : String(error), facts: [] };
