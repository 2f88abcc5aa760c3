// The sources that browsers and Node have in common.
import type { Input, Ranges, Stream } from './input.js';
import { lastPart, letGo } from './input.js';
import type { ErrorCode } from './codes.js';
import { makeError } from './errors.js';
import { urlInput, responseInput, requestInput } from './network.js';

/** The part of a FileSystemSyncAccessHandle that is used: it belongs to the caller, and stays open. */
export interface SyncAccessHandle {
  getSize(): number;
  read(buffer: Uint8Array, options?: { at?: number }): number;
}

/** The part of a FileSystemFileHandle that is used. */
export interface FileHandleLike {
  readonly kind: 'file';
  readonly name: string;
  getFile(): Promise<File>;
}

/** The part of a FileHandle of Node's `fs/promises` that is used: it belongs to the caller, and stays open. */
export interface NodeFileHandle {
  readonly fd: number;
  stat(): Promise<{ readonly size: number }>;
  read?(buffer: Uint8Array, offset: number, length: number, position: number | null): Promise<{ readonly bytesRead: number }>;
}

/** One file. */
export type FileSource =
  | string
  | URL
  | Request
  | Response
  | Blob
  | FileHandleLike
  | SyncAccessHandle
  | NodeFileHandle
  | ReadableStream<ArrayBufferLike | ArrayBufferView>
  | AsyncIterable<ArrayBufferLike | ArrayBufferView>
  | ArrayBufferLike
  | ArrayBufferView;

/**
 * What can be opened: a file (or the first of a set, or its index), or all files of a set: shards in order, or an index
 * and its shards in any.
 */
export type Source = FileSource | readonly FileSource[] | FileList;

const READ_AT_ONCE = 4 << 20;

/** Frees the memory of bytes at once, where the engine can: a collector comes when hundreds of megabytes are waiting. */
export function release(bytes: Uint8Array | undefined): void {
  (bytes?.buffer as { transfer?: (length: number) => unknown } | undefined)?.transfer?.(0);
}

/** What a value is called in messages. */
export const kindOf = (value: unknown): string =>
  value === null ? 'null' : typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : typeof value;

/** The bytes of a buffer or view, from whatever realm; undefined for other values. Throws 'unsupported_source' where they are detached. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  const isBuffer = /^(Shared)?ArrayBuffer$/.test(kindOf(value));
  if (!isBuffer && !ArrayBuffer.isView(value)) return undefined;
  try {
    if (isBuffer) return new Uint8Array(value as ArrayBuffer);
    const { buffer, byteOffset, byteLength } = value as ArrayBufferView;
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (cause) {
    throw makeError('unsupported_source', `the ${kindOf(value)} is detached: its bytes were transferred elsewhere`, { cause });
  }
}

/** The bytes of a piece that a stream gives. */
function pieceOf(value: unknown): Uint8Array {
  const bytes = bytesOf(value);
  if (bytes) return bytes;
  throw makeError('unsupported_source', `the stream gives pieces of type ${kindOf(value)}, not bytes: give ArrayBuffers or views of them`);
}

/** Whether a stream gives its bytes into a buffer that it is handed. */
export function isByteStream(stream: ReadableStream<Uint8Array>): boolean {
  try {
    stream.getReader({ mode: 'byob' }).releaseLock();
    return true;
  } catch {
    return false; // not a stream of bytes, or an engine without such readers
  }
}

/**
 * Pieces of a stream of bytes, by one buffer that is used again and again where the engine can do that. `isOurs` says
 * that nobody else has the pieces, so that each can be freed when the next one is wanted.
 */
export function readable(stream: ReadableStream<Uint8Array>, size?: number, isOurs = false): Stream {
  if (stream.locked) throw makeError('cannot_read_again', 'the stream is locked: another reader has it');
  if (!isByteStream(stream)) {
    const reader = stream.getReader();
    let last: Uint8Array | undefined;
    return {
      size,
      pull: async () => {
        if (isOurs) release(last);
        const { value, done } = await reader.read();
        last = done ? undefined : pieceOf(value);
        return last;
      },
      close: (reason) => letGo(() => reader.cancel(reason)),
    };
  }
  const reader = stream.getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(READ_AT_ONCE);
  return {
    size,
    pull: async () => {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (value) buffer = value.buffer as ArrayBuffer;
      return done ? undefined : value;
    },
    close: (reason) => letGo(() => reader.cancel(reason)),
  };
}

const CHANGED = ['file_changed', 'it cannot be read: was it changed or removed since it was chosen?'] as const;
const FILE_TROUBLES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  NotFoundError: ['no_such_file_or_directory', 'it is not there any more'],
  NotAllowedError: ['permission_denied', 'the page may not read it: ask for permission first'],
  SecurityError: ['permission_denied', 'the page may not read it'],
};

/** Does what may fail for want of a file, which can go and change behind its handle or Blob, and says so. */
async function readingFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileTrouble(path, error);
  }
}

function fileTrouble(path: string, cause: unknown): Error {
  // Of a file that has changed, engines say NotReadableError, AbortError, or that there is a network error.
  const [code, what] = (cause instanceof DOMException ? FILE_TROUBLES[cause.name] : undefined) ?? CHANGED;
  return makeError(code, `${path === '' ? 'the file' : path}: ${what}`, { cause, file: path === '' ? undefined : path });
}

/** Pieces of a Blob: of its stream where one buffer serves for all, and else part by part, so that no queue can grow. */
function blobStream(blob: Blob): Stream {
  const stream = blob.stream();
  if (isByteStream(stream)) return readable(stream, blob.size);
  let done = 0;
  let last: Uint8Array | undefined;
  return {
    size: blob.size,
    pull: async () => {
      release(last);
      last = new Uint8Array(await blob.slice(done, done + READ_AT_ONCE).arrayBuffer());
      done += last.length;
      return last.length > 0 ? last : undefined;
    },
    close: () => undefined,
  };
}

export function blobInput(blob: Blob, path = 'name' in blob ? String(blob.name) : ''): Input {
  const bytesOf = async (part: Blob) => new Uint8Array(await readingFile(path, () => part.arrayBuffer()));
  const ranges: Ranges = {
    size: blob.size,
    read: (offset, length) => bytesOf(blob.slice(offset, offset + length)),
    close: () => undefined,
  };
  const stream = (): Stream => {
    const { pull, ...rest } = blobStream(blob);
    return { ...rest, pull: () => readingFile(path, async () => pull?.()) };
  };
  return {
    path,
    name: lastPart(path),
    isRereadable: true,
    stream: () => Promise.resolve(stream()),
    ranges: () => Promise.resolve(ranges),
  };
}

function fileHandleInput(handle: FileHandleLike): Input {
  const blob = async () => blobInput(await readingFile(handle.name, () => handle.getFile()), handle.name);
  return {
    path: handle.name,
    name: handle.name,
    isRereadable: true,
    stream: async () => (await blob()).stream(),
    ranges: async () => (await blob()).ranges?.(),
  };
}

function syncHandleInput(handle: SyncAccessHandle): Input {
  const read = (room: Uint8Array, at: number) => {
    try {
      return handle.read(room, { at });
    } catch (error) {
      throw fileTrouble('', error); // closed by its owner, say
    }
  };
  return {
    path: '',
    name: '',
    isRereadable: true,
    stream: () => Promise.resolve({ size: handle.getSize(), fill: read, close: () => undefined }),
    ranges: () => Promise.resolve(syncRanges(handle.getSize(), read)),
  };
}

/** Ranges of what is read at once. */
export function syncRanges(
  size: number,
  read: (room: Uint8Array, at: number) => number,
  close: () => void = () => undefined,
): Ranges {
  return {
    size,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const got = read(bytes.subarray(done), offset + done);
        if (got === 0) break;
        done += got;
      }
      return Promise.resolve(bytes.subarray(0, done));
    },
    fill: read,
    close,
  };
}

function bytesInput(bytes: Uint8Array): Input {
  const { length } = bytes;
  const read = (room: Uint8Array, at: number) => {
    if (bytes.length !== length) throw makeError('file_changed', 'the bytes were transferred elsewhere, or resized, while they were read');
    const part = bytes.subarray(at, at + room.length);
    room.set(part);
    return part.length;
  };
  return {
    path: '',
    name: '',
    isRereadable: true,
    stream: () => Promise.resolve({ size: length, fill: read, close: () => undefined }),
    ranges: () => Promise.resolve(syncRanges(length, read)),
  };
}

/** A source of which there is one pass. `open` gives its bytes. */
function onceInput(open: () => Stream, path = ''): Input {
  let used = false;
  return {
    path,
    name: lastPart(path),
    isRereadable: false,
    stream: async () => {
      if (used) throw makeError('cannot_read_again', 'a stream can be read once: give its URL, or a Blob');
      used = true;
      return open();
    },
  };
}

export function iterableStream(iterable: AsyncIterable<Uint8Array>): Stream & { pull: () => Promise<Uint8Array | undefined> } {
  const iterator = iterable[Symbol.asyncIterator]();
  return {
    pull: async () => {
      const { value, done } = await iterator.next();
      return done === true ? undefined : pieceOf(value);
    },
    // A generator ends when what it waits for has come, which may be never.
    close: () => letGo(() => iterator.return?.(undefined)),
  };
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const has = <Name extends string>(value: object, name: Name): value is Record<Name, unknown> => name in value;
const hasFunction = (value: object, name: string): boolean => has(value, name) && typeof value[name] === 'function';

/** How a network source is asked for. */
export interface NetworkOptions {
  /** Instead of the global one: with headers of one's own, a cache, tries. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** The input that a source is, wherever it is; undefined for what only some platform knows. */
export function commonInput(source: unknown, options: NetworkOptions): Input | undefined {
  if (source instanceof URL) return urlInput(source, options);
  if (!isObject(source)) return undefined;
  if (typeof Request !== 'undefined' && source instanceof Request) return requestInput(source, options);
  if (typeof Response !== 'undefined' && source instanceof Response) return responseInput(source);
  if (typeof Blob !== 'undefined' && source instanceof Blob) return blobInput(source);
  const bytes = bytesOf(source);
  if (bytes) return bytesInput(bytes);
  if (hasFunction(source, 'getSize') && hasFunction(source, 'read')) return syncHandleInput(source as SyncAccessHandle);
  if (hasFunction(source, 'getFile')) return fileHandleInput(source as FileHandleLike);
  if (hasFunction(source, 'getReader')) return onceInput(() => readable(source as ReadableStream<Uint8Array>));
  if (Symbol.asyncIterator in source) return onceInput(() => iterableStream(source as AsyncIterable<Uint8Array>));
  return undefined;
}
