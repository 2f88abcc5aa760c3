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
  close(reason?: unknown): Promise<void> | void;
}

/** A range of bytes that was asked for. */
export interface Ranges {
  /** How many bytes there are. */
  readonly size: number;
  /** Exactly these bytes. */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Bytes straight into the heap, for sources that can (see Stream). */
  readonly fill?: Stream['fill'];
  close(): Promise<void> | void;
}

/** A source, before anything of it is read. */
export interface Input {
  /** What errors call it: a path, a URL; '' where it has no name. */
  readonly path: string;
  /** The file's own name, by which the others of its set are found; '' where it has none. */
  readonly name: string;
  /** Whether it can be begun again. */
  readonly isRereadable: boolean;
  /** Begins to read. */
  stream(signal?: AbortSignal): Promise<Stream>;
  /** Access to any part of it; undefined where there is none, after all. */
  ranges?(signal?: AbortSignal): Promise<Ranges | undefined>;
  /** The file of that name beside it. */
  sibling?(name: string): Input;
}

/** The last part of a path or a URL. */
export const lastPart = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);

/** Rejects as soon as the signal says so, whatever the promise does. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
