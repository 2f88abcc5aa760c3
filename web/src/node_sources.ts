// The sources that only Node has: files, read straight into the heap.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Input, Stream } from './input.js';
import type { ErrorCode } from './codes.js';
import { BallastError, makeError } from './errors.js';
import type { NetworkOptions, NodeFileHandle } from './sources.js';
import { commonInput, iterableStream, syncRanges } from './sources.js';
import { fromUrl, urlInput } from './network.js';

const CODES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['no_such_file_or_directory', 'No such file or directory'],
  EACCES: ['permission_denied', 'Permission denied'],
  EPERM: ['permission_denied', 'Operation not permitted'],
  EISDIR: ['is_a_directory', 'Is a directory'],
};

function failure(file: string, error: unknown): Error {
  if (error instanceof BallastError) return error;
  const errno = error instanceof Error && 'code' in error ? String(error.code) : '';
  const [code, message] = CODES[errno] ?? ['system_error', error instanceof Error ? error.message : String(error)];
  return makeError(code, `${file}: ${message} (${code})`, { file, cause: error });
}

const failing = (file: string) => (error: unknown): never => {
  throw failure(file, error);
};

function attempt<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failure(file, error);
  }
}

/** What is known of an open file. */
interface Facts {
  /** Of regular files alone. Those of /proc say 0 whatever their content is, so 0 is no size either. */
  readonly size: number | undefined;
  /** Whether it has positions, which pipes do not have. */
  readonly hasPositions: boolean;
}

function factsOf(file: string, descriptor: number): Facts {
  const status = attempt(file, () => fs.fstatSync(descriptor));
  if (status.isDirectory()) throw failure(file, Object.assign(new Error('Is a directory'), { code: 'EISDIR' }));
  return { size: (status.isFile() && status.size) || undefined, hasPositions: status.isFile() };
}

/** Node takes at most 2 GiB at once. */
const MOST = 1 << 30;

/** What is read at once of a file without a size. */
const PIECE = 1 << 20;

/** A range of an open file into memory, at once. */
const readAt = (file: string, descriptor: number, room: Uint8Array, position: number): number =>
  attempt(file, () => fs.readSync(descriptor, room, 0, Math.min(room.length, MOST), position));

type Read = (buffer: Uint8Array, offset: number, length: number, position: number | null) => Promise<{ readonly bytesRead: number }>;

/** The pieces of a file without a size, in order. A device may make its reader wait, so another thread reads. */
function piecesOf(file: string, { hasPositions }: Facts, read: Read): () => Promise<Uint8Array | undefined> {
  const buffer = new Uint8Array(PIECE);
  let done = 0;
  return async () => {
    const { bytesRead } = await read(buffer, 0, buffer.length, hasPositions ? done : null).catch(failing(file));
    done += bytesRead;
    return bytesRead > 0 ? buffer.subarray(0, bytesRead) : undefined;
  };
}

const openFile = promisify(fs.open);
const readFile = promisify(fs.read);

/** Closes the descriptors of models that were never closed. */
const abandoned = new FinalizationRegistry<number>((descriptor) => fs.closeSync(descriptor));

/** A file that is open here. After close() its number may be another file's, and is never used again. */
class OpenFile {
  readonly facts: Facts;
  readonly #file: string;
  readonly #descriptor: number;
  #isClosed = false;
  #isReading = false;

  constructor(file: string, descriptor: number) {
    this.#file = file;
    this.#descriptor = descriptor;
    try {
      this.facts = factsOf(file, descriptor);
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
    abandoned.register(this, descriptor, this);
  }

  /** Bytes of it at once; for files with a size. */
  readonly fill = (room: Uint8Array, position: number): number => {
    this.#mustBeOpen();
    return readAt(this.#file, this.#descriptor, room, position);
  };

  /** Its pieces in order; for all others. */
  pieces(): () => Promise<Uint8Array | undefined> {
    return piecesOf(this.#file, this.facts, async (...where) => {
      this.#mustBeOpen();
      this.#isReading = true;
      try {
        return await readFile(this.#descriptor, ...where);
      } finally {
        this.#isReading = false;
        if (this.#isClosed) this.#free();
      }
    });
  }

  readonly close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#isReading) this.#free();
  };

  #free(): void {
    abandoned.unregister(this);
    fs.closeSync(this.#descriptor);
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw makeError('closed', `${this.#file}: the model was closed while it was read`, { file: this.#file });
  }
}

/** What nobody named is a file: a FIFO would wait for its writer, and a device may have no end. */
async function statusOf(file: string, isNamed: boolean): Promise<fs.Stats> {
  const status = await fs.promises.stat(file).catch(failing(file));
  if (!isNamed && !status.isFile() && !status.isDirectory()) throw failure(file, new Error('Operation not supported'));
  return status;
}

const openPath = async (file: string): Promise<OpenFile> => new OpenFile(file, await openFile(file, 'r').catch(failing(file)));

/** A FIFO: the event loop waits for its writer and its bytes. A thread that waits could not be stopped. */
async function fifoStream(file: string): Promise<Stream> {
  const { O_RDONLY, O_NONBLOCK } = fs.constants;
  const descriptor = await openFile(file, O_RDONLY | O_NONBLOCK).catch(failing(file));
  const socket = new net.Socket({ fd: descriptor, readable: true, writable: false });
  socket.on('error', () => undefined); // whoever pulls will see
  const { pull } = iterableStream(socket);
  return { pull: () => pull().catch(failing(file)), close: () => socket.destroy() };
}

export function pathInput(file: string, isNamed = true): Input {
  return {
    path: file,
    name: path.basename(file),
    isRereadable: true,
    stream: async () => {
      if ((await statusOf(file, isNamed)).isFIFO()) return fifoStream(file);
      const found = await openPath(file);
      const { facts: { size }, fill, close } = found;
      return size === undefined ? { pull: found.pieces(), close } : { size, fill, close };
    },
    ranges: async () => {
      if ((await statusOf(file, isNamed)).isFIFO()) return undefined;
      const { facts: { size }, fill, close } = await openPath(file);
      if (size !== undefined) return syncRanges(size, fill, close);
      close();
      return undefined;
    },
    sibling: (name) => pathInput(path.join(path.dirname(file), name), false),
  };
}

/** A handle belongs to the caller, who may close it at any time. */
function handleInput(handle: NodeFileHandle): Input {
  const descriptor = () => {
    if (handle.fd >= 0) return handle.fd;
    throw makeError('closed', 'the FileHandle was closed before its file was read');
  };
  const fill = (room: Uint8Array, position: number) => readAt('', descriptor(), room, position);
  const read: Read = async (...where) => handle.read?.(...where) ?? readFile(descriptor(), ...where);
  return {
    path: '',
    name: '',
    isRereadable: true,
    stream: async () => {
      const facts = factsOf('', descriptor());
      const { size } = facts;
      return size === undefined ? { pull: piecesOf('', facts, read), close: () => undefined } : { size, fill, close: () => undefined };
    },
    ranges: async () => {
      const { size } = factsOf('', descriptor());
      return size === undefined ? undefined : syncRanges(size, fill);
    },
  };
}

const isHandle = (source: unknown): source is NodeFileHandle =>
  typeof source === 'object' && source !== null && 'fd' in source && typeof source.fd === 'number' && 'stat' in source;

/** A string is a URL where it says so, and else a path. */
const URL_LIKE = /^(?:https?|file|blob|data):/i;

export function nodeInput(source: unknown, options: NetworkOptions): Input | undefined {
  if (typeof source === 'string') {
    if (!URL_LIKE.test(source)) return pathInput(source);
    return nodeInput(fromUrl(source, () => new URL(source)), options);
  }
  if (source instanceof URL) {
    return source.protocol === 'file:' ? pathInput(fromUrl(source.href, () => fileURLToPath(source))) : urlInput(source, options);
  }
  if (isHandle(source)) return handleInput(source);
  return commonInput(source, options);
}

