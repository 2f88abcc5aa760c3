// The sources that only Node has: files, read straight into the heap.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Input } from './input.js';
import type { ErrorCode } from './codes.js';
import { makeError } from './errors.js';
import type { NetworkOptions, NodeFileHandle } from './sources.js';
import { commonInput, syncRanges } from './sources.js';
import { fromUrl, urlInput } from './network.js';

const CODES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['no_such_file_or_directory', 'No such file or directory'],
  EACCES: ['permission_denied', 'Permission denied'],
  EPERM: ['permission_denied', 'Operation not permitted'],
  EISDIR: ['is_a_directory', 'Is a directory'],
};

function failure(file: string, error: unknown): Error {
  const errno = error instanceof Error && 'code' in error ? String(error.code) : '';
  const [code, message] = CODES[errno] ?? ['system_error', error instanceof Error ? error.message : String(error)];
  return makeError(code, `${file}: ${message} (${code})`, { file, cause: error });
}

function attempt<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failure(file, error);
  }
}

/** A file that is open. Sizes of what is no regular file mean nothing. */
function sizeOf(file: string, descriptor: number): number | undefined {
  const status = attempt(file, () => fs.fstatSync(descriptor));
  if (status.isDirectory()) throw failure(file, Object.assign(new Error('Is a directory'), { code: 'EISDIR' }));
  return status.isFile() ? status.size : undefined;
}

/** Node takes at most 2 GiB at once. */
const MOST = 1 << 30;

function reader(file: string, descriptor: number, size: number | undefined) {
  return (room: Uint8Array, position: number): number =>
    attempt(file, () => fs.readSync(descriptor, room, 0, Math.min(room.length, MOST), size === undefined ? null : position));
}

/** What nobody named is a file: a FIFO would wait for its writer, and a device may have no end. */
function requireFile(file: string): void {
  const status = attempt(file, () => fs.statSync(file));
  if (!status.isFile() && !status.isDirectory()) throw failure(file, new Error('Operation not supported'));
}

function pathInput(file: string, isNamed = true): Input {
  const open = () => {
    if (!isNamed) requireFile(file);
    return attempt(file, () => fs.openSync(file, 'r'));
  };
  return {
    path: file,
    name: path.basename(file),
    isRereadable: true,
    stream: async () => {
      const descriptor = open();
      try {
        const size = sizeOf(file, descriptor);
        return { size, fill: reader(file, descriptor, size), close: () => fs.closeSync(descriptor) };
      } catch (error) {
        fs.closeSync(descriptor);
        throw error;
      }
    },
    ranges: async () => {
      const descriptor = open();
      try {
        const size = sizeOf(file, descriptor);
        if (size !== undefined) return syncRanges(size, reader(file, descriptor, size), () => fs.closeSync(descriptor));
        fs.closeSync(descriptor);
        return undefined;
      } catch (error) {
        fs.closeSync(descriptor);
        throw error;
      }
    },
    sibling: (name) => pathInput(path.join(path.dirname(file), name), false),
  };
}

function handleInput(handle: NodeFileHandle): Input {
  const size = () => sizeOf('', handle.fd);
  return {
    path: '',
    name: '',
    isRereadable: true,
    stream: async () => {
      const found = size();
      return { size: found, fill: reader('', handle.fd, found), close: () => undefined };
    },
    ranges: async () => {
      const found = size();
      return found === undefined ? undefined : syncRanges(found, reader('', handle.fd, found));
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

