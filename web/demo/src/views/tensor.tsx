// One tensor: what its values are like, a picture of them, the numbers themselves, and how they are stored.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { layoutOf } from '../blocks.js';
import { call } from '../client.js';
import { colour } from '../dtypes.js';
import { bytes, count, integer, printable, shape } from '../format.js';
import type { Summary, TensorRow } from '../protocol.js';
import { BlockView } from './block.jsx';
import { HeatMap } from './heat_map.jsx';
import { Numbers } from './numbers.jsx';
import { StatisticsView } from './statistics.jsx';
import { useCall } from '../use_call.js';
import { ErrorCard } from './error.jsx';

/** Where a row lies in a tensor of more than two dimensions: '[2, 0, :]', in the order of its shape. */
export function placeOf(tensor: TensorRow, row: number, isGguf: boolean): string {
  const others = isGguf ? tensor.shape.slice(1) : tensor.shape.slice(0, -1).reverse();
  const indices: number[] = [];
  let rest = row;
  for (const size of others) {
    indices.push(rest % Math.max(size, 1));
    rest = Math.floor(rest / Math.max(size, 1));
  }
  return isGguf ? `[:, ${indices.join(', ')}]` : `[${indices.reverse().join(', ')}, :]`;
}

interface PanelProps {
  readonly tensor: TensorRow | undefined;
  readonly summary: Summary;
}

export function TensorPanel({ tensor, summary }: PanelProps): VNode {
  if (!tensor) {
    return (
      <section class="card tensor-panel empty" aria-labelledby="tensor-title">
        <h3 id="tensor-title">No tensor is chosen</h3>
        <p>Choose one to see its values. Only its own bytes are fetched.</p>
      </section>
    );
  }
  return <ChosenTensor tensor={tensor} summary={summary} />;
}

function ChosenTensor({ tensor, summary }: PanelProps & { readonly tensor: TensorRow }): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const { name, dtype, elements, offset, blockElements, blockBytes } = tensor;
  const facts: readonly (readonly [string, string])[] = [
    ['dtype', dtype],
    ['shape', shape(tensor.shape)],
    ['values', integer(elements)],
    ['bytes', tensor.bytes === undefined ? 'unknown' : integer(tensor.bytes)],
    ['first byte', integer(offset)],
    ...(blockElements > 1 ? [['stored in', `blocks of ${blockElements} values in ${count(blockBytes, 'byte')}`] as const] : []),
    ...(summary.shards.length > 1 ? [['file', summary.shards[tensor.shard]?.name ?? ''] as const] : []),
  ];
  return (
    <section class="card tensor-panel" aria-labelledby="tensor-title" data-shown={name}>
      <h3 id="tensor-title" tabIndex={-1} ref={heading}>
        <span class="dot" style={{ background: colour(dtype) }} /><bdi>{name === '' ? '(no name)' : printable(name)}</bdi>
      </h3>
      <dl class="facts">
        {facts.map(([fact, value]) => <div key={fact}><dt>{fact}</dt><dd><bdi>{printable(value)}</bdi></dd></div>)}
      </dl>
      {tensor.bytes === undefined ? <p class="hint">This dtype is not known here, so there are no values to show.</p> :
        elements === 0 ? <p class="hint">It has no values.</p> : <Values tensor={tensor} summary={summary} />}
    </section>
  );
}

function Values({ tensor, summary }: PanelProps & { readonly tensor: TensorRow }): VNode {
  const isGguf = summary.format === 'gguf';
  const [at, setAt] = useState<readonly [row: number, column: number]>([0, 0]);
  const [row, column] = at;
  const layout = layoutOf(tensor.dtype);
  return (
    <>
      {!summary.hasParts && <p class="hint">Of this source no part can be had alone: for the first tensor all of it is read ({bytes(summary.needed)} decoded).</p>}
      <StatisticsView tensor={tensor} isInMemory={!summary.hasParts} />
      <HeatMap tensor={tensor} onPoint={(y, x) => setAt([y, x])} />
      <Numbers tensor={tensor} row={row} column={column} place={tensor.shape.length > 2 ? placeOf(tensor, row, isGguf) : ''} onMove={(y, x) => setAt([y, x])} />
      {layout && <BlockPart tensor={tensor} row={row} column={column} onMove={(y, x) => setAt([y, x])} />}
    </>
  );
}

interface BlockPartProps {
  readonly tensor: TensorRow;
  readonly row: number;
  readonly column: number;
  readonly onMove: (row: number, column: number) => void;
}

function BlockPart({ tensor, row, column, onMove }: BlockPartProps): VNode {
  const { name, dtype, blockElements, columns } = tensor;
  const index = Math.floor(column / blockElements);
  const { value, failure } = useCall((signal) => call('block', [name, row, index], { signal }), [name, row, index]);
  return (
    <section class="part" aria-labelledby="block-title">
      <h4 id="block-title">How it is stored: {dtype}</h4>
      {failure && <ErrorCard title={name} failure={failure} heading={4} />}
      {value && (
        <BlockView
          dtype={dtype} block={value} index={index} last={Math.max(columns / blockElements - 1, 0)}
          onIndex={(next) => onMove(row, next * blockElements)}
        />
      )}
    </section>
  );
}
