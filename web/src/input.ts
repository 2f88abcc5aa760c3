// What every source becomes: a name, perhaps a size, and bytes, either put straight into the heap
// or as pieces that come.

/** Bytes in order, from the beginning. */
export interface Stream {
  /** How many there will be, where that can be relied on. */
  readonly size?: number | undefined;
  /**
   * Fills some of a part of the heap at once, and says how much; 0 at the end. For sources that can:
   * one copy, from the system to the heap.
   */
  readonly fill?: (room: Uint8Array, position: number) => number;
  /** The next piece, valid until the next call; undefined at the end. For all others. */
  readonly pull?: () => Promise<Uint8Array | undefined>;
  /** Frees what the stream holds. `reason` says why, where it did not come to its end. */
  close(reason?: unknown): void;
}

/** A range of bytes that was asked for. */
export interface Ranges {
  /** How many bytes there are. */
  readonly size: number;
  /** Exactly these bytes. */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Bytes straight into the heap, for sources that can (see Stream). */
  readonly fill?: Stream['fill'];
  close(): void;
}

/** A source, before anything of it is read. */
export interface Input {
  /** What errors call it: a path, a URL; '' where it has no name. */
  readonly path: string;
  /** The file's own name, by which the others of its set are found; '' where it has none. */
  readonly name: string;
  /** Whether it can be begun again. */
  readonly isRereadable: boolean;
  /** Ends every read of it, whatever else does. */
  readonly signal?: AbortSignal | undefined;
  /** Begins to read. */
  stream(signal?: AbortSignal): Promise<Stream>;
  /** Access to any part of it; undefined where there is none, after all. */
  ranges?(signal?: AbortSignal): Promise<Ranges | undefined>;
  /** The file of that name beside it. */
  sibling?(name: string): Input;
}

/** The last part of a path or a URL. */
export const lastPart = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);

/** Rejects as soon as the signal aborts, whatever the promise does. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Waits for a source to open. One that opens after the signal has aborted is closed. */
export function opened<T extends Stream | Ranges | undefined>(opening: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const waiting = abortable(opening, signal);
  waiting.catch(() => opening.then((late) => late?.close(signal?.reason), () => undefined));
  return waiting;
}

/** Calls something of the caller's that ends a source. Does not wait, since it may never settle, and ignores its failure. */
export function letGo(end: () => unknown): void {
  new Promise((resolve) => resolve(end())).catch(() => undefined);
}

/** Runs work with a signal that aborts as soon as one of the given signals does. */
export async function withSignals<T>(
  given: readonly (AbortSignal | null | undefined)[],
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const signals = given.filter((signal) => !!signal);
  if (signals.length < 2) return work(signals[0]);
  // AbortSignal.any would do, but Node has it since 20.3 only.
  const first = new AbortController();
  const abort = () => first.abort(signals.find(({ aborted }) => aborted)?.reason);
  for (const signal of signals) signal.addEventListener('abort', abort);
  if (signals.some(({ aborted }) => aborted)) abort();
  try {
    return await work(first.signal);
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort);
  }
}
