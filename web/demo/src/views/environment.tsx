// What this engine can do.
import type { VNode } from 'preact';
import { call } from '../client.js';
import { bytes, integer } from '../format.js';
import type { Environment } from '../protocol.js';
import { useCall } from '../use_call.js';

const yes = (is: boolean): string => (is ? 'yes' : 'no');

const factsOf = (found: Environment): readonly (readonly [string, string])[] => [
  ['addresses', found.hasWasm64 ? 'wasm32, and wasm64 for models over 2 GB' : 'wasm32 only'],
  ['largest model', found.hasWasm64 ? '16 GiB' : '2 GiB in one file, 4 GiB in shards'],
  ['private files (OPFS)', yes(found.hasOwnFiles)],
  ['storage', found.quota === undefined ? 'not told' : `${bytes(found.usage ?? 0)} of ${bytes(found.quota)}`],
  ['processors', integer(found.cores)],
  ['memory of the device', found.deviceMemory === undefined ? 'not told' : `${found.deviceMemory} GiB or more`],
  ['cross-origin isolated', `${yes(found.isIsolated)} (not needed)`],
];

export function EnvironmentCard(): VNode {
  const { value, failure } = useCall((signal) => call('environment', [], { signal }), []);
  return (
    <section class="card environment" aria-labelledby="environment-title">
      <h2 id="environment-title">This browser</h2>
      {failure && <p role="alert">{failure.message}</p>}
      <dl class="facts">
        {value && factsOf(value).map(([name, told]) => <div key={name}><dt>{name}</dt><dd>{told}</dd></div>)}
      </dl>
    </section>
  );
}
