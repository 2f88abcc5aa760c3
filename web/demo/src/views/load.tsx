// Loading all of a model: progress, cancel, what it took, and the same in the naive way beside it.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Opened } from '../app.jsx';
import { Chart } from '../chart.jsx';
import { call } from '../client.js';
import { failureOf } from '../failure.js';
import { bytes, seconds } from '../format.js';
import type { Comparison, Cost, Failure, Loaded, Step } from '../protocol.js';
import { ErrorCard } from './error.jsx';

type State =
  | { readonly kind: 'idle' | 'cancelled' }
  | { readonly kind: 'loading'; readonly step?: Step }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'loaded'; readonly loaded: Loaded }
  | { readonly kind: 'compared'; readonly comparison: Comparison };

/** Milliseconds from one look at the progress to the next: more often nobody could read it. */
const PACE = 100;

export function LoadPanel({ opened }: { readonly opened: Opened }): VNode {
  const { summary, title } = opened;
  const [state, setState] = useState<State>({ kind: 'idle' });
  const [isComparing, setComparing] = useState(false);
  // From the beginning on: milliseconds, and bytes in a second. Drawn when it is over, so that the page has little to do.
  const rates = useRef<[times: number[], values: number[]]>([[], []]);
  const controller = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => controller.current?.abort(), []);

  const load = async (): Promise<void> => {
    const mine = (controller.current = new AbortController());
    const began = performance.now();
    setState({ kind: 'loading' });
    rates.current = [[], []];
    let last = -Infinity;
    const onStep = (step: Step): void => {
      const now = performance.now();
      if (mine.signal.aborted || now - last < PACE) return;
      last = now;
      const [times, values] = rates.current;
      times.push(now - began);
      values.push(step.rate);
      setState({ kind: 'loading', step });
    };
    try {
      const work = { signal: mine.signal, onStep };
      if (isComparing) setState({ kind: 'compared', comparison: await call('compare', [], work) });
      else setState({ kind: 'loaded', loaded: await call('load', [], work) });
    } catch (error) {
      setState(mine.signal.aborted ? { kind: 'cancelled' } : { kind: 'failed', failure: failureOf(error) });
    }
  };
  const free = async (): Promise<void> => {
    await call('free', []);
    setState({ kind: 'idle' });
  };
  const isLoading = state.kind === 'loading';
  const [times, values] = rates.current;
  return (
    <section class="card load" aria-labelledby="load-title" data-load={state.kind}>
      <h3 id="load-title">Load it</h3>
      <p>All of it goes into one WebAssembly memory, with one copy of each byte: {bytes(summary.needed)}.</p>
      {summary.needed > summary.limit && <p class="warning">There is room for {bytes(summary.limit)} here: it will be refused. Its tensors can be looked at all the same.</p>}
      <p class="controls">
        {isLoading ? <button type="button" onClick={() => controller.current?.abort()}>Cancel</button>
          : <button type="button" class="primary" onClick={() => void load()}>{isComparing ? 'Load both ways' : 'Load'}</button>}
        {state.kind === 'loaded' && <button type="button" onClick={() => void free()}>Give the memory back</button>}
        <label class="switch">
          <input type="checkbox" checked={isComparing} disabled={isLoading} onChange={({ currentTarget }) => setComparing(currentTarget.checked)} />
          <span>Compare with the naive way: <code>arrayBuffer()</code>, then a copy into the memory</span>
        </label>
      </p>
      <div aria-live="polite">
        {state.kind === 'cancelled' && <p>Cancelled. Nothing stays allocated.</p>}
        {state.kind === 'failed' && <ErrorCard title={title} failure={state.failure} heading={4} />}
        {state.kind === 'loaded' && <LoadedView loaded={state.loaded} />}
        {state.kind === 'compared' && <ComparisonView comparison={state.comparison} />}
      </div>
      {isLoading && <Under step={state.step} needed={summary.needed} />}
      {!isLoading && times.length > 8 && (
        <Chart
          kind="line" x={times} y={values} formatX={seconds} formatY={(rate) => `${bytes(rate)}/s`}
          label={`The rate over time; at last ${bytes(values.at(-1) ?? 0)} in a second`}
        />
      )}
    </section>
  );
}

/** How far it is. */
function Under({ step, needed }: { readonly step: Step | undefined; readonly needed: number }): VNode {
  const { loaded = 0, total, decoded = 0, rate = 0 } = step ?? {};
  const remaining = total === undefined || rate === 0 ? '' : `, ${seconds(((total - loaded) / rate) * 1000)} remain`;
  const part = total ? loaded / total : decoded / needed;
  return (
    <div class="under">
      <progress aria-label="loaded" max={1} value={Math.min(part, 1)} />
      <p>{bytes(loaded)}{total === undefined ? '' : ` of ${bytes(total)}`}, {bytes(rate)}/s{remaining}</p>
      <Heap used={decoded} peak={needed} />
    </div>
  );
}

/** How much of a memory is in use. */
function Heap({ used, peak }: { readonly used: number; readonly peak: number }): VNode {
  return (
    <p class="heap">
      <label for="heap">In the WebAssembly memory</label> <meter id="heap" min={0} max={Math.max(peak, 1)} value={used} />
      <span> {bytes(used)}, at most {bytes(peak)}</span>
    </p>
  );
}

function LoadedView({ loaded }: { readonly loaded: Loaded }): VNode {
  const facts: readonly (readonly [string, string])[] = [
    ['time', seconds(loaded.milliseconds)],
    ['model', bytes(loaded.bytes)],
    ['bytes copied', `${bytes(loaded.copied)}, each once`],
    ['peak of the memory', bytes(loaded.peak)],
    ['addresses', `wasm${loaded.bits}`],
  ];
  return (
    <>
      <p><strong>Loaded.</strong> Tensors are views of it now: look at one.</p>
      <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <Heap used={loaded.used} peak={loaded.peak} />
    </>
  );
}

/** Bytes of a model of which a comparison says something. */
const SMALL = 16 << 20;

const MEASURES: readonly (readonly [keyof Cost, string, (value: number) => string])[] = [
  ['peak', 'Memory at the peak', bytes],
  ['copied', 'Bytes copied', bytes],
  ['milliseconds', 'Time', seconds],
];

function ComparisonView({ comparison: { ours, naive } }: { readonly comparison: Comparison }): VNode {
  if (typeof naive === 'string') {
    return <p>Ballast: {seconds(ours.milliseconds)}, {bytes(ours.peak)} at the peak. The naive way: {naive}</p>;
  }
  return (
    <div class="comparison">
      {ours.copied < SMALL && <p class="hint">So small a model tells of the module itself, which takes about 2 MB. Compare with the large one among the samples.</p>}
      {MEASURES.map(([measure, title, format]) => {
        const most = Math.max(ours[measure], naive[measure], 1);
        return (
          <table key={measure} data-measure={measure}>
            <caption>{title}</caption>
            <tbody>
              {([['Ballast', ours], ['naive', naive]] as const).map(([name, cost]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td class="cell"><span class={name === 'naive' ? 'amount other' : 'amount'} style={{ width: `${(100 * cost[measure]) / most}%` }} /></td>
                  <td>{format(cost[measure])}</td>
                </tr>
              ))}
            </tbody>
          </table>
        );
      })}
    </div>
  );
}
