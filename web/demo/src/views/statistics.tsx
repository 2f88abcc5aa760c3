// What the values of a tensor are like, from one pass over them.
import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { Chart } from '../chart.jsx';
import { call } from '../client.js';
import { bytes, float, integer, seconds } from '../format.js';
import type { TensorRow, TensorStatistics } from '../protocol.js';
import { useCall } from '../use_call.js';
import { ErrorCard } from './error.jsx';

/** What is not read without being asked for. */
const MUCH = 64 << 20;
const BARS = 96;

export function StatisticsView({ tensor, isInMemory }: { readonly tensor: TensorRow; readonly isInMemory: boolean }): VNode {
  const { name, bytes: size = 0 } = tensor;
  const [isWanted, want] = useState(isInMemory || size <= MUCH);
  const { value, failure, step } = useCall(
    isWanted ? (signal, onStep) => call('statistics', [name], { signal, onStep }) : null, [name, isWanted]);
  return (
    <section class="part" aria-labelledby="statistics-title">
      <h4 id="statistics-title">Statistics</h4>
      {!isWanted && <button type="button" onClick={() => want(true)}>Read {bytes(size)} for its statistics</button>}
      {failure && <ErrorCard title={name} failure={failure} heading={4} />}
      {isWanted && !value && !failure && (
        <p class="working">
          <progress aria-label="statistics" max={1} {...(step?.total ? { value: step.loaded / step.total } : {})} />
          <button type="button" onClick={() => want(false)}>Cancel</button>
        </p>
      )}
      {value && <Found statistics={value} size={size} />}
    </section>
  );
}

function Found({ statistics, size }: { readonly statistics: TensorStatistics; readonly size: number }): VNode {
  const { min, max, mean, standardDeviation, count, zero, nan, positiveInfinity, negativeInfinity, milliseconds } = statistics;
  const facts: readonly (readonly [string, string])[] = [
    ['min', float(min)], ['max', float(max)], ['mean', float(mean)], ['deviation', float(standardDeviation)],
    ['zeros', integer(zero)], ['NaN', integer(nan)], ['+∞', integer(positiveInfinity)], ['−∞', integer(negativeInfinity)],
  ];
  return (
    <>
      <dl class="facts statistics">
        {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      <Histogram statistics={statistics} />
      <p class="hint">{integer(count)} values, from {bytes(size)} in {seconds(milliseconds)}.</p>
    </>
  );
}

/** Bins of the library, as many together as make at most so many bars. */
function barsOf({ binWidth, first, counts }: TensorStatistics['histogram']): { x: number[]; y: number[]; width: number } {
  let used = counts.length;
  while (used > 0 && counts[used - 1] === 0) --used;
  const together = Math.max(Math.ceil(used / BARS), 1);
  const x: number[] = [];
  const y: number[] = [];
  for (let i = 0; i < used; i += together) {
    x.push((first + i + together / 2) * binWidth);
    y.push(counts.subarray(i, Math.min(i + together, used)).reduce((sum, n) => sum + n, 0));
  }
  return { x, y, width: together * binWidth };
}

function Histogram({ statistics }: { readonly statistics: TensorStatistics }): VNode | null {
  const { histogram, min, max } = statistics;
  const { x, y, width } = useMemo(() => barsOf(histogram), [histogram]);
  if (x.length < 2) return <p class="hint">All finite values are {float(min)}.</p>;
  const most = x[y.indexOf(Math.max(...y))] ?? 0;
  return (
    <Chart
      kind="bars" x={x} y={y} formatX={float} formatY={integer}
      label={`Histogram: values from ${float(min)} to ${float(max)}, ${x.length} bars of width ${float(width)}, the highest around ${float(most)}`}
    />
  );
}
