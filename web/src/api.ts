// The three functions of the package, on any platform.
import { Head, inspectSource } from './head.js';
import type { OpenOptions, Platform } from './load.js';
import { checkOptions } from './limits.js';
import { load } from './load.js';
import { Model } from './model.js';
import type { Source } from './sources.js';
import { WASM32_FILE, WASM32_MEMORY, WASM64_MEMORY } from './wasm.js';

/** What a model needs, and whether there is room for it here. */
export interface Preflight {
  /** Bytes of memory that it takes. */
  readonly needed: number;
  /** Bytes that it may take here. */
  readonly limit: number;
  readonly fits: boolean;
  /** The width of addresses that it would have. */
  readonly bits: 32 | 64;
  /** 'needs 2.3 GB, limit 2.0 GB', for people. */
  readonly message: string;
  /** Bytes that were read to find out. */
  readonly bytesRead: number;
}

export interface Api {
  /** Loads a model into memory. */
  open(source: Source, options?: OpenOptions): Promise<Model>;
  /** Reads the directory of a model: its metadata and its tensors, without the weights. */
  inspect(source: Source, options?: OpenOptions): Promise<Head>;
  /** Tells what a model would need, before it is loaded. */
  preflight(source: Source, options?: OpenOptions): Promise<Preflight>;
}

const gigabytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;

/** What the module itself takes beside a model: its stack, its tables, the directory. */
const OVERHEAD = 8 << 20;

export function makeApi(platform: Platform): Api {
  return {
    open: async (source, options = {}) => {
      const { engine, model } = await load(platform, source, options);
      return new Model(engine, model, platform.values(options));
    },
    inspect: (source, options = {}) => inspectSource(platform, source, options),
    preflight: async (source, options = {}) => {
      checkOptions(options);
      // The limit is the model's, which is not loaded.
      const head = await inspectSource(platform, source, { ...options, maxBytes: undefined });
      try {
        const files = head.bytesNeeded;
        const needed = files.reduce((sum, size) => sum + size, 0);
        const largest = Math.max(...files);
        const fits32 = largest <= WASM32_FILE && needed + OVERHEAD <= WASM32_MEMORY;
        const bits = options.bits ?? (fits32 || platform.modules.lacksWide(options) !== '' ? 32 : 64);
        const room = (bits === 64 ? WASM64_MEMORY : files.length === 1 ? WASM32_FILE : WASM32_MEMORY - OVERHEAD);
        const limit = Math.min(room, options.maxBytes ?? Infinity);
        const fits = needed <= limit && (bits === 64 || largest <= WASM32_FILE);
        return {
          needed, limit, fits, bits,
          message: `needs ${gigabytes(needed)}, limit ${gigabytes(limit)}`,
          bytesRead: head.bytesRead,
        };
      } finally {
        head.close();
      }
    },
  };
}
