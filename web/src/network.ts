// Models from servers. Nothing that a server says is believed without need: sizes of transfers may
// be those of an encoding, ranges may be answered with everything, or with something else.
import type { Input, Ranges, Stream } from './input.js';
import { lastPart, letGo } from './input.js';
import { BallastError, makeError } from './errors.js';
import type { NetworkOptions } from './sources.js';
import { isByteStream, readable, release } from './sources.js';

/** What a URL is called: without what may be a secret, and is long. */
function pathOf(url: string): string {
  try {
    const parsed = new URL(url);
    return parsed.protocol === 'data:' ? 'data:' : `${parsed.origin === 'null' ? parsed.protocol : parsed.origin}${parsed.pathname}`;
  } catch {
    return url;
  }
}

function nameOf(path: string): string {
  try {
    return decodeURIComponent(lastPart(path));
  } catch {
    return lastPart(path);
  }
}

/** Ends a response of which no more is wanted. */
const drop = ({ body }: Response): void => letGo(() => body?.cancel());

/** Does what may fail for want of a connection, and says so. */
async function connected<T>(path: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BallastError || (error instanceof DOMException && error.name === 'AbortError')) throw error;
    const why = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
    throw makeError('network', `${path}: the connection failed (${why}); try again, or see whether the server allows this page (CORS)`, {
      cause: error,
      file: path,
    });
  }
}

const STATUS_ADVICE: Readonly<Record<number, string>> = {
  401: 'it wants a login: pass a Request with its Authorization header',
  403: 'it refuses: is a login or an agreement needed first?',
  404: 'there is no such file',
  429: 'there were too many requests: try again later',
};

function refuseStatus(path: string, response: Response): never {
  const advice = STATUS_ADVICE[response.status] ?? (response.status >= 500 ? 'try again later' : response.statusText);
  throw makeError('http_status', `${path}: the server answered ${response.status}: ${advice}`, {
    status: response.status,
    file: path,
  });
}

/**
 * The size of what a response brings, where that is certain: a transfer that is encoded has the size of
 * the encoding, and responses of another origin hide that they are encoded.
 */
function sizeOf(response: Response): number | undefined {
  const length = response.headers.get('content-length');
  const tellsAll = response.type === 'basic' || response.type === 'default';
  if (length === null || !tellsAll || response.headers.has('content-encoding')) return undefined;
  return /^\d+$/.test(length) ? Number(length) : undefined;
}

function bodyOf(response: Response, path: string, size: number | undefined, signal?: AbortSignal): Stream {
  if (!response.body) return { size: 0, pull: () => Promise.resolve(undefined), close: () => undefined };
  // A response that a script has made ('default') may give pieces that the script has, too.
  const stream = readable(response.body as ReadableStream<Uint8Array>, size, response.type !== 'default');
  const { pull } = stream;
  return { ...stream, pull: () => connected(path, async () => pull?.(), signal) };
}

export function responseInput(response: Response): Input {
  const path = response.url === '' ? '' : pathOf(response.url);
  return {
    path,
    name: nameOf(path),
    isRereadable: false,
    stream: async (signal) => {
      if (response.bodyUsed || response.body?.locked === true) {
        throw makeError('cannot_read_again', `${path}: the body of this Response was read already`);
      }
      if (!response.ok) refuseStatus(path, response);
      return bodyOf(response, path, sizeOf(response), signal);
    },
  };
}

/** A Content-Range that says what was asked for. */
function totalOf(response: Response, first: number, last: number): number | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (!match) return undefined;
  const [from, to, total] = match.slice(1).map(Number) as [number, number, number];
  return from === first && to === Math.min(last, total - 1) ? total : undefined;
}

/** The length of the file that a response is about, where it says so. */
function lengthOf(response: Response): number | undefined {
  if (response.status === 200) return sizeOf(response);
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

/** What a response says of the version of its file. */
interface Version {
  readonly tag: string | null;
  readonly modified: string | null;
}

const versionOf = ({ headers }: Response): Version => ({ tag: headers.get('etag'), modified: headers.get('last-modified') });

const isWeak = (tag: string | null): boolean => tag === null || tag.startsWith('W/');

/** Whether a version is known to be another one. Dates count where no tag is certain, and are left away in answers to If-Range. */
const isOther = ({ tag, modified }: Version, before: Version): boolean =>
  tag !== before.tag || (isWeak(tag) && modified !== null && modified !== before.modified);

/** How long ago a file was modified when its date tells its version (RFC 9110, 8.8.2.2), were clocks a little apart. */
const STRONG_MILLISECONDS = 60_000;

/** If-Range, which takes strong validators only, and a date where there is no tag (RFC 9110, 13.1.5). */
function conditionOf(response: Response): Record<string, string> {
  const { tag, modified } = versionOf(response);
  // Of another origin a page would have to ask whether it may send this header, and many servers forbid it.
  if (response.type === 'cors') return {};
  if (tag !== null) return isWeak(tag) ? {} : { 'If-Range': tag };
  const age = Date.parse(response.headers.get('date') ?? '') - Date.parse(modified ?? '');
  return modified !== null && age >= STRONG_MILLISECONDS ? { 'If-Range': modified } : {};
}

const CHANGED = 'the file is not the one that was begun';

const FIRST_RANGE = 64 << 10;

/** Parts of a file on a server, each by a request of its own. */
class HttpRanges implements Ranges {
  size = 0;
  readonly #path: string;
  readonly #send: (headers: Record<string, string>, signal?: AbortSignal) => Promise<Response>;
  #version: Version = { tag: null, modified: null };
  #condition: Record<string, string> = {};
  #head: Uint8Array = new Uint8Array();

  constructor(path: string, send: (headers: Record<string, string>, signal?: AbortSignal) => Promise<Response>) {
    this.#path = path;
    this.#send = send;
  }

  /** Asks for the beginning. False where the server does not serve ranges. */
  async begin(signal?: AbortSignal): Promise<boolean> {
    const response = await this.#send({ Range: `bytes=0-${FIRST_RANGE - 1}` }, signal).catch((error: unknown) => {
      // Chromium fails where the answer is encoded, and others where a server knows of no Range in CORS. Where
      // there is no connection at all, whoever reads it all will see.
      if (error instanceof BallastError && error.code === 'network') return undefined;
      throw error;
    });
    if (!response) return false;
    if (response.status === 416) {
      drop(response);
      return false; // an empty file, say: whoever reads it all will see
    }
    if (response.status !== 206 && !response.ok) {
      drop(response);
      refuseStatus(this.#path, response);
    }
    const total = response.status === 206 ? totalOf(response, 0, FIRST_RANGE - 1) : undefined;
    if (total === undefined || response.headers.has('content-encoding')) {
      drop(response);
      return false;
    }
    this.size = total;
    this.#version = versionOf(response);
    this.#condition = conditionOf(response);
    this.#head = await this.#body(response, 0, Math.min(FIRST_RANGE, total), signal);
    return true;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (offset + length <= this.#head.length) return this.#head.subarray(offset, offset + length);
    if (offset < this.#head.length) {
      const rest = await this.read(this.#head.length, offset + length - this.#head.length, signal);
      const all = new Uint8Array(length);
      all.set(this.#head.subarray(offset));
      all.set(rest, this.#head.length - offset);
      return all;
    }
    const last = offset + length - 1;
    const response = await this.#send({ Range: `bytes=${offset}-${last}`, ...this.#condition }, signal);
    const problem = this.#problem(response, offset, last);
    if (problem !== undefined) {
      drop(response);
      throw makeError(problem === CHANGED ? 'file_changed' : 'bad_range', `${this.#path}: ${problem}, in answer to a request for bytes ${offset} to ${last}`, {
        offset,
        expected: this.size,
        actual: lengthOf(response),
        status: response.status,
        file: this.#path,
      });
    }
    return this.#body(response, offset, length, signal);
  }

  #problem(response: Response, first: number, last: number): string | undefined {
    const { status } = response;
    if (response.headers.has('content-encoding')) return 'the server sent an encoded part';
    // 200 answers If-Range where the file is another one, and 416 a range that was in it.
    const isFile = status === 206 || status === 200;
    if (status === 416 || (isFile && (isOther(versionOf(response), this.#version) || (lengthOf(response) ?? this.size) !== this.size))) return CHANGED;
    if (status !== 206) return `the server answered ${status}`;
    if (totalOf(response, first, last) !== undefined) return undefined;
    return `the server sent "${response.headers.get('content-range') ?? 'no Content-Range'}"`;
  }

  /** All of a part, and not a byte more. */
  async #body(response: Response, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    const stream = bodyOf(response, this.#path, undefined, signal);
    const bytes = new Uint8Array(length);
    let done = 0;
    try {
      for (let piece = await stream.pull?.(); piece && done <= length; piece = await stream.pull?.()) {
        if (piece.length > length - done) break;
        bytes.set(piece, done);
        done += piece.length;
        if (done === length) return bytes;
      }
    } finally {
      stream.close();
    }
    throw makeError('bad_range', `${this.#path}: the server sent another number of bytes than it said`, {
      offset,
      expected: length,
      actual: done,
      file: this.#path,
    });
  }

  close(): void {
    this.#head = new Uint8Array();
  }
}

/** What is fetched at once where a file comes in parts. */
const PART = 4 << 20;

/** A file part by part, of which the next is under way while one is used. */
function partsOf(ranges: HttpRanges, signal?: AbortSignal): Stream {
  const own = new AbortController();
  const abort = () => own.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  let end = 0;
  const ask = (): Promise<Uint8Array | undefined> => {
    const start = end;
    end = Math.min(start + PART, ranges.size);
    const part = start < end ? ranges.read(start, end - start, own.signal) : Promise.resolve(undefined);
    part.catch(() => undefined); // whoever pulls it will see
    return part;
  };
  let next = ask();
  let last: Uint8Array | undefined;
  return {
    size: ranges.size,
    pull: async () => {
      release(last);
      last = await next;
      next = ask();
      return last;
    },
    close: (reason) => {
      signal?.removeEventListener('abort', abort);
      own.abort(reason);
      ranges.close();
    },
  };
}

let queues: boolean | undefined;
/** Whether this engine takes what a server sends into a queue without end: without buffers that are filled when wanted. */
const hasQueues = (): boolean => (queues ??= !isByteStream(new Response(new Uint8Array(1)).body as ReadableStream<Uint8Array>));

/** What is asked for again and again, with other headers. */
type Send = (headers: Record<string, string>, signal?: AbortSignal) => Promise<Response>;

function networkInput(url: string, send: Send, sibling: (name: string) => Input, own?: AbortSignal): Input {
  const path = pathOf(url);
  const asked: Send = (headers, signal) => connected(path, () => send(headers, signal), signal);
  return {
    path,
    name: nameOf(path),
    isRereadable: true,
    signal: own,
    stream: async (signal) => {
      if (hasQueues()) {
        const ranges = new HttpRanges(path, asked);
        if (await ranges.begin(signal)) return partsOf(ranges, signal);
      }
      const response = await asked({}, signal);
      if (!response.ok) {
        drop(response);
        refuseStatus(path, response);
      }
      return bodyOf(response, path, sizeOf(response), signal);
    },
    ranges: async (signal) => {
      const ranges = new HttpRanges(path, asked);
      return (await ranges.begin(signal)) ? ranges : undefined;
    },
    sibling,
  };
}

/** The URL of a file beside another one: same query, which may hold a token. */
function beside(url: string, name: string): URL {
  const found = new URL(url);
  found.pathname = found.pathname.slice(0, found.pathname.lastIndexOf('/') + 1) + encodeURIComponent(name);
  return found;
}

/** Makes something of a URL, or of what should be one. Throws 'unsupported_source'. */
export function fromUrl<T>(url: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw makeError('unsupported_source', `${url}: there is no such URL`, { cause, file: url });
  }
}

export function urlInput(url: URL, options: NetworkOptions): Input {
  const get = options.fetch ?? fetch;
  const send: Send = (headers, signal) => get(url, { headers, signal: signal ?? null });
  return networkInput(url.href, send, (name) => urlInput(beside(url.href, name), options));
}

export function requestInput(request: Request, options: NetworkOptions): Input {
  const get = options.fetch ?? fetch;
  const withHeaders = (more: Record<string, string>) => {
    const headers = new Headers(request.headers);
    for (const [name, value] of Object.entries(more)) headers.set(name, value);
    return headers;
  };
  const send: Send = (headers, signal) => get(new Request(request.clone(), { headers: withHeaders(headers), signal: signal ?? request.signal }));
  return networkInput(request.url, send, (name) => requestInput(new Request(beside(request.url, name), request), options), request.signal);
}
