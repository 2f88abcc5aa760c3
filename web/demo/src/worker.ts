// The worker: everything that reads, decodes or holds a model. The page has nothing to do but to show.
import type { Head, HeadTensor, Model, Tensor } from 'ballast-loader';
import { BallastError, MetadataArray, hasWasm64, inspect } from 'ballast-loader';
import { naive } from './naive.js';
import type {
  ArrayHead, Block, Comparison, Context, DtypeShare, Elements, Entry, Environment, Failure, Loaded, Plain, Request,
  Slice, Source, Summary, TensorRow, TensorStatistics,
} from './protocol.js';

/** Values that are decoded for one picture: 64 million take 256 MB. */
const MOST_VALUES = 1 << 26;
const FIRST_ELEMENTS = 8;

let head: Head | undefined;
let model: Model | undefined; // once it is loaded
/** A load for the sake of a tensor, which all who ask for tensors share. */
let whole: { readonly model: Promise<Model>; readonly end: AbortController } | undefined;
let source: Source | undefined;
/** Whether the server answered with parts. Files always give some. */
let hasParts = true;

function opened(): Head {
  if (!head) throw new Error('no model is open');
  return head;
}

function free(): void {
  whole?.end.abort();
  model?.close();
  model = whole = undefined;
}

function close(): void {
  free();
  head?.close();
  head = undefined;
}

/** The global fetch, looked at: a server that has no ranges sends everything for each part. */
const watchedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (response.status === 206) hasParts = true;
  return response;
};

// ---- The directory ------------------------------------------------------------------------------

function shares(tensors: readonly HeadTensor[]): readonly DtypeShare[] {
  const found = new Map<string, { tensors: number; bytes: number; elements: number }>();
  for (const { dtype, byteLength, elementCount } of tensors) {
    const sum = found.get(dtype) ?? { tensors: 0, bytes: 0, elements: 0 };
    found.set(dtype, { tensors: sum.tensors + 1, bytes: sum.bytes + (byteLength ?? 0), elements: sum.elements + elementCount });
  }
  return Array.from(found, ([dtype, sum]) => ({ dtype, ...sum })).sort((a, b) => b.bytes - a.bytes);
}

const textOf = ({ metadata }: Head, key: string): string | undefined => {
  const value = metadata.get(key);
  return typeof value === 'string' ? value : undefined;
};

const GIB = 2 ** 30;

/** The largest model of so many files that the engine has room for. */
const limitFor = (files: number): number => (hasWasm64() ? 16 * GIB : files === 1 ? 2 * GIB - 1 : 4 * GIB);

function summaryOf(found: Head, milliseconds: number): Summary {
  const { format, version, parameterCount, tensors, metadata, shards, warnings, fileBytes, bytesRead } = found;
  return {
    format, version, shards, warnings, fileBytes, bytesRead, milliseconds,
    title: textOf(found, 'general.name'),
    architecture: textOf(found, 'general.architecture'),
    parameters: parameterCount,
    tensors: tensors.length,
    entries: metadata.size,
    dtypes: shares(tensors),
    needed: found.bytesNeeded.reduce((sum, size) => sum + size, 0),
    limit: limitFor(shards.length),
    hasParts: hasParts && shards.every(({ compression }) => compression === 'none'),
  };
}

const rowOf = (tensor: HeadTensor): TensorRow => ({
  name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, elements: tensor.elementCount, offset: tensor.byteOffset,
  bytes: tensor.byteLength, shard: tensor.shard, blockElements: tensor.blockElements, blockBytes: tensor.blockBytes,
  rows: tensor.rowCount, columns: tensor.rowElements,
});

// ---- Metadata -----------------------------------------------------------------------------------

const plain = (value: Plain | MetadataArray): Plain =>
  value instanceof MetadataArray ? `${value.length} of ${value.elementType}` : value;

function headOf(array: MetadataArray): ArrayHead {
  const first: Plain[] = [];
  for (const value of array) {
    if (first.push(plain(value)) === FIRST_ELEMENTS) break;
  }
  return { element: array.elementType, length: array.length, first };
}

/** The last search, whose pages are asked for one after the other. */
let searched: { array: string; query: string; found: (readonly [number, Plain])[] } | undefined;

function matches(key: string, array: MetadataArray, query: string): readonly (readonly [number, Plain])[] {
  if (searched?.array === key && searched.query === query) return searched.found;
  const found: (readonly [number, Plain])[] = [];
  const wanted = query.toLowerCase();
  let index = 0;
  for (const value of array) {
    const shown = plain(value);
    if (String(shown).toLowerCase().includes(wanted)) found.push([index, shown]);
    ++index;
  }
  searched = { array: key, query, found };
  return found;
}

// ---- Values -------------------------------------------------------------------------------------

async function loadWhole(found: Head, report: Context['report']): Promise<void> {
  const end = new AbortController();
  whole ??= { model: found.load({ signal: end.signal, onProgress: report }), end };
  const mine = whole;
  try {
    const loaded = await mine.model;
    if (whole === mine) model = loaded;
    else loaded.close(); // another model is open by now
  } catch (error) {
    if (whole === mine) whole = undefined;
    throw error;
  }
}

/** Loads what has no parts that could be had alone. Answers what to take values of. */
async function readable(name: string, { signal, report }: Context): Promise<Tensor | HeadTensor> {
  const found = opened();
  const isWhole = !hasParts || found.shards.some(({ compression }) => compression !== 'none');
  if (isWhole && !model) await loadWhole(found, report);
  signal.throwIfAborted();
  return (model ?? found).tensor(name);
}

function limit(tensor: Tensor | HeadTensor, rows: number): void {
  if (rows * tensor.rowElements > MOST_VALUES) throw new Error(`its rows are of ${tensor.rowElements} values: too long to be shown`);
}

/** As few digits as tell a float of 32 bits from all others. */
function printed(value: number | bigint, isDouble: boolean): string {
  if (typeof value === 'bigint' || Number.isInteger(value) || !Number.isFinite(value) || isDouble) {
    return Object.is(value, -0) ? '-0' : String(value);
  }
  for (let digits = 1; digits < 9; ++digits) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

async function bytesOf(tensor: Tensor | HeadTensor, row: number, signal: AbortSignal): Promise<Uint8Array> {
  if ('read' in tensor) return tensor.read({ rows: [row, row + 1], signal });
  const size = (tensor.byteLength ?? 0) / tensor.rowCount;
  return tensor.bytes().slice(row * size, (row + 1) * size);
}

// ---- What the page can ask ----------------------------------------------------------------------

export const calls = {
  async inspect(wanted: Source, { signal, report }: Context): Promise<Summary> {
    close();
    source = wanted;
    searched = undefined;
    hasParts = wanted.kind === 'files';
    const began = performance.now();
    const found = await inspect(wanted.kind === 'url' ? wanted.url : [...wanted.files], { signal, onProgress: report, fetch: watchedFetch });
    if (signal.aborted) found.close();
    signal.throwIfAborted();
    head = found;
    return summaryOf(found, performance.now() - began);
  },

  async tensors(begin: number, end: number): Promise<readonly TensorRow[]> {
    return opened().tensors.slice(begin, end).map(rowOf);
  },

  async metadata(): Promise<readonly Entry[]> {
    return Array.from(opened().metadata.entries(), ({ key, type, value }) => ({
      key, type, value: value instanceof MetadataArray ? headOf(value) : value,
    }));
  },

  /** Elements of an array, from `begin` to before `end`, of those that contain the query. */
  async elements(key: string, query: string, begin: number, end: number): Promise<Elements> {
    const array = opened().metadata.get(key);
    if (!(array instanceof MetadataArray)) throw new Error('this is no array');
    if (query !== '') {
      const found = matches(key, array, query);
      return { total: found.length, items: found.slice(begin, end) };
    }
    const items: [number, Plain][] = [];
    for (let i = begin; i < Math.min(end, array.length); ++i) items.push([i, plain(array.at(i) ?? '')]);
    return { total: array.length, items };
  },

  async statistics(name: string, context: Context): Promise<TensorStatistics> {
    const tensor = await readable(name, context);
    const began = performance.now();
    const found = await tensor.stats({ signal: context.signal, onProgress: context.report });
    return { ...found, milliseconds: performance.now() - began };
  },

  /** `rows` rows from `row` on, of each `columns` values from `column` on. */
  async slice(name: string, row: number, rows: number, column: number, columns: number, context: Context): Promise<Slice> {
    const tensor = await readable(name, context);
    limit(tensor, rows);
    // Of whatever type they are; of C64 two numbers for each.
    const all: ArrayLike<number | bigint> = await tensor.values({ rows: [row, row + rows], signal: context.signal });
    const width = rows === 0 ? 0 : all.length / rows;
    const per = Math.max(Math.min(columns, width - column), 0);
    const isDouble = !(all instanceof Float32Array);
    const values = new (isDouble ? Float64Array : Float32Array)(rows * per);
    const texts: string[] = [];
    for (let y = 0; y < rows; ++y) {
      for (let x = 0; x < per; ++x) {
        const value = all[y * width + column + x] ?? 0;
        values[y * per + x] = Number(value);
        if (rows === 1) texts.push(printed(value, isDouble));
      }
    }
    return { rows, columns: per, values, texts };
  },

  async block(name: string, row: number, index: number, context: Context): Promise<Block> {
    const tensor = await readable(name, context);
    limit(tensor, 1);
    const { blockBytes, blockElements } = tensor;
    const bytes = await bytesOf(tensor, row, context.signal);
    const all: ArrayLike<number | bigint> = await tensor.values({ rows: [row, row + 1], signal: context.signal });
    return {
      bytes: bytes.slice(index * blockBytes, (index + 1) * blockBytes),
      values: Array.from({ length: blockElements }, (_, i) => Number(all[index * blockElements + i])),
    };
  },

  async load({ signal, report }: Context): Promise<Loaded> {
    const found = opened();
    free();
    const began = performance.now();
    const loaded = await found.load({ signal, onProgress: report });
    if (head !== found) {
      loaded.close();
      throw new Error('another model was opened meanwhile');
    }
    model = loaded;
    const bytes = loaded.shards.reduce((sum, { fileBytes }) => sum + (fileBytes ?? 0), 0);
    const { used, peak } = loaded.memory();
    return { milliseconds: performance.now() - began, bytes, copied: bytes, used, peak, bits: loaded.bits };
  },

  async free(): Promise<void> {
    free();
  },

  /** Loads the model, and lets it go; then the same in the way that comes to mind first. */
  async compare(context: Context): Promise<Comparison> {
    const { shards } = opened();
    const wanted = source as Source;
    const ours = await calls.load(context);
    free();
    return { ours, naive: await naive(wanted, shards, context) };
  },

  async environment(): Promise<Environment> {
    const { storage, hardwareConcurrency, deviceMemory } = navigator as Navigator & { readonly deviceMemory?: number };
    // Engines that have one may refuse it, as in private windows.
    const own = await storage?.getDirectory?.().then(() => true, () => false);
    const estimate: StorageEstimate = await storage?.estimate?.().catch(() => ({})) ?? {};
    return {
      hasWasm64: hasWasm64(), hasOwnFiles: own ?? false, quota: estimate.quota, usage: estimate.usage,
      cores: hardwareConcurrency, deviceMemory, isIsolated: crossOriginIsolated,
    };
  },
};

// ---- Messages -----------------------------------------------------------------------------------

const FACTS = ['file', 'tensor', 'key', 'offset', 'inputOffset', 'expected', 'actual', 'status'] as const;

function failureOf(error: unknown): Failure {
  if (error instanceof BallastError) {
    const facts = FACTS.flatMap((name): [string, string][] => (error[name] === undefined ? [] : [[name, String(error[name])]]));
    return { name: error.name, message: error.message, code: error.code, facts };
  }
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, message, facts: [] };
}

const running = new Map<number, AbortController>();

addEventListener('message', async ({ data }: MessageEvent<Request>) => {
  if ('cancel' in data) {
    running.get(data.cancel)?.abort();
    return;
  }
  const { id, method, args } = data;
  const controller = new AbortController();
  running.set(id, controller);
  const context: Context = { signal: controller.signal, report: (step) => postMessage({ id, step }) };
  try {
    const call = calls[method as keyof typeof calls] as (...all: unknown[]) => Promise<unknown>;
    postMessage({ id, value: await call(...args, context) });
  } catch (error) {
    postMessage({ id, failure: failureOf(error) });
  } finally {
    running.delete(id);
  }
});
