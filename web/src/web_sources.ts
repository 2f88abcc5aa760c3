// The sources of browsers: a string is a URL, as it is for fetch().
import type { Input } from './input.js';
import type { NetworkOptions } from './sources.js';
import { commonInput } from './sources.js';
import { fromUrl, urlInput } from './network.js';

export function webInput(source: unknown, options: NetworkOptions): Input | undefined {
  if (typeof source === 'string') return urlInput(fromUrl(source, () => new URL(source, globalThis.location?.href)), options);
  return commonInput(source, options);
}
