// The way to load a model that comes to mind first: all of it as an ArrayBuffer, and from there into a WebAssembly
// memory. Here to be measured beside the better one.
import type { Shard } from 'ballast-loader';
import type { Context, Cost, Source } from './protocol.js';

const PAGE = 1 << 16;

/** Decoders that platforms have. */
const DECODERS: Readonly<Partial<Record<Shard['compression'], CompressionFormat>>> = { gzip: 'gzip', zlib: 'deflate' };

const bodyOf = (file: File | string, signal: AbortSignal): Promise<Response> =>
  typeof file === 'string' ? fetch(file, { signal }) : Promise.resolve(new Response(file));

/** The files of a source: those of a set lie beside the one that was named. */
function filesOf(source: Source, shards: readonly Shard[]): readonly (File | string)[] {
  if (source.kind === 'files') return source.files.filter(({ name }) => !name.endsWith('.json'));
  if (shards.length === 1) return [source.url];
  return shards.map(({ name }) => new URL(encodeURIComponent(name), new URL(source.url, location.href)).href);
}

/** What it costs, or why it cannot be done. */
export async function naive(source: Source, shards: readonly Shard[], { signal, report }: Context): Promise<Cost | string> {
  const codec = shards[0]?.compression ?? 'none';
  const decoder = DECODERS[codec];
  if (codec !== 'none' && !decoder) return `The platform has no decoder for ${codec}.`;
  const began = performance.now();
  const memories: WebAssembly.Memory[] = [];
  let held = 0;
  let peak = 0;
  let copied = 0;
  try {
    for (const file of filesOf(source, shards)) {
      const response = await bodyOf(file, signal);
      if (!response.ok || !response.body) return `The server answered ${response.status}.`;
      const body = decoder ? new Response(response.body.pipeThrough(new DecompressionStream(decoder))) : response;
      const buffer = await body.arrayBuffer();
      const memory = new WebAssembly.Memory({ initial: Math.ceil(buffer.byteLength / PAGE) });
      new Uint8Array(memory.buffer).set(new Uint8Array(buffer));
      memories.push(memory);
      held += memory.buffer.byteLength;
      // From the pieces that came into one buffer, and from there into the memory.
      copied += 2 * buffer.byteLength;
      peak = Math.max(peak, held + buffer.byteLength);
      report({ loaded: copied / 2, total: undefined, decoded: copied / 2, rate: copied / 2 / (performance.now() - began) * 1000 });
      signal.throwIfAborted();
    }
  } catch (error) {
    signal.throwIfAborted();
    return `It failed: ${error instanceof Error ? error.message : String(error)}`;
  }
  return { milliseconds: performance.now() - began, peak, copied };
}
