// The page's end of the worker.
import type { Answer, Context, Failure, Step } from './protocol.js';
import type { calls } from './worker.js';

type Calls = typeof calls;
/** The arguments of a call, without what the worker adds. */
type Given<T> = T extends (...all: [...infer A, Context]) => unknown ? A : T extends (...all: infer A) => unknown ? A : never;

/** An error that a worker has told of. */
export class CallError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = failure.name;
    this.failure = failure;
  }
}

interface Work {
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: Step) => void) | undefined;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
  readonly onStep: ((step: Step) => void) | undefined;
}

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'ballast' });
const pending = new Map<number, Pending>();
let last = 0;

worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
  const call = pending.get(data.id);
  if (!call) return; // given up
  if ('step' in data) return call.onStep?.(data.step);
  pending.delete(data.id);
  if ('failure' in data) call.reject(new CallError(data.failure));
  else call.resolve(data.value as never);
});

worker.addEventListener('error', ({ message }) => {
  const failure = { name: 'Error', message: message ?? 'the worker could not be started', facts: [] };
  for (const { reject } of pending.values()) reject(new CallError(failure));
  pending.clear();
});

/** Has the worker do something. What is given up is rejected at once, and ends in the worker as soon as it sees it. */
export function call<K extends keyof Calls>(method: K, args: Given<Calls[K]>, { signal, onStep }: Work = {}): ReturnType<Calls[K]> {
  const id = ++last;
  const promise = new Promise<never>((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    pending.set(id, { resolve, reject, onStep });
    signal?.addEventListener('abort', () => {
      if (!pending.delete(id)) return;
      worker.postMessage({ cancel: id });
      reject(signal.reason);
    });
    worker.postMessage({ id, method, args });
  });
  return promise as ReturnType<Calls[K]>;
}
