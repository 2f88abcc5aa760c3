// The numbers of a row.
import type { VNode } from 'preact';
import { call } from '../client.js';
import { integer } from '../format.js';
import type { TensorRow } from '../protocol.js';
import { useCall } from '../use_call.js';
import { ErrorCard } from './error.jsx';
import { NumberInput } from './number_input.jsx';

const PAGE = 64;

interface NumbersProps {
  readonly tensor: TensorRow;
  readonly row: number;
  readonly column: number;
  /** The indices of the row, where there are several; else ''. */
  readonly place: string;
  readonly onMove: (row: number, column: number) => void;
}

export function Numbers({ tensor, row, column, place, onMove }: NumbersProps): VNode {
  const { name, rows, dtype } = tensor;
  const columns = tensor.columns * (dtype === 'C64' ? 2 : 1);
  const begin = Math.floor(column / PAGE) * PAGE;
  const { value, failure } = useCall((signal) => call('slice', [name, row, 1, begin, PAGE], { signal }), [name, row, begin]);
  return (
    <section class="part" aria-labelledby="numbers-title">
      <h4 id="numbers-title">Numbers</h4>
      <p class="controls">
        <NumberInput id="row" label="row" value={row} max={Math.max(rows - 1, 0)} onChange={(next) => onMove(next, column)} />
        {place !== '' && <code>{place}</code>}
        <button type="button" disabled={begin === 0} onClick={() => onMove(row, begin - PAGE)}>Previous</button>
        <button type="button" disabled={begin + PAGE >= columns} onClick={() => onMove(row, begin + PAGE)}>Next</button>
        <small>{integer(begin)} to {integer(Math.min(begin + PAGE, columns) - 1)} of {integer(columns)}</small>
      </p>
      {failure && <ErrorCard title={name} failure={failure} heading={4} />}
      {value && (
        <ol class="numbers" start={begin} aria-label={`Numbers of row ${row}`}>
          {value.texts.map((text, i) => <li key={i} class={begin + i === column ? 'pointed' : undefined}><span class="index">{begin + i}</span> {text}</li>)}
        </ol>
      )}
    </section>
  );
}
