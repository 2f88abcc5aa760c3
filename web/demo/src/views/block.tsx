// A block of a quantized dtype: its fields drawn to scale, its bytes, its scales.
import type { VNode } from 'preact';
import { layoutOf, scalesOf } from '../blocks.js';
import { count, float, hex } from '../format.js';
import type { Block } from '../protocol.js';
import { NumberInput } from './number_input.jsx';

interface BlockViewProps {
  readonly dtype: string;
  readonly block: Block;
  readonly index: number;
  readonly last: number;
  readonly onIndex: (index: number) => void;
}

export function BlockView({ dtype, block, index, last, onIndex }: BlockViewProps): VNode {
  const layout = layoutOf(dtype) ?? [];
  const scales = scalesOf(dtype, block.bytes, block.values.length);
  const hasMinima = scales.some(({ minimum }) => minimum !== 0);
  let begin = 0;
  const fields = layout.map((field, i) => {
    const bytes = block.bytes.subarray(begin, (begin += field.bytes));
    return { ...field, data: bytes, tone: `tone${i}` };
  });
  return (
    <>
      <p class="controls">
        <NumberInput id="block" label="block of the row" value={index} max={last} onChange={onIndex} />
        <small>{count(block.bytes.length, 'byte')} for {block.values.length} values: {float((8 * block.bytes.length) / block.values.length)} bits each</small>
      </p>
      <div class="layout" role="img" aria-label={`fields: ${fields.map(({ name, bytes }) => `${name} ${count(bytes, 'byte')}`).join(', ')}`}>
        {fields.map(({ name, bytes, tone }) => <span key={name} class={tone} style={{ flexGrow: bytes }}>{bytes * 16 >= block.bytes.length ? name : ''}</span>)}
      </div>
      <dl class="fields">
        {fields.map(({ name, bytes, what, data, tone }) => (
          <div key={name}>
            <dt><span class={`dot ${tone}`} /><code>{name}</code> <small>{count(bytes, 'byte')}: {what}</small></dt>
            <dd class="hex">{Array.from(data, hex).join(' ')}</dd>
          </div>
        ))}
      </dl>
      <h5>Scales</h5>
      <table class="scales">
        <thead><tr><th scope="col">values</th><th scope="col">scale</th>{hasMinima && <th scope="col">less</th>}</tr></thead>
        <tbody>
          {scales.map(({ begin: from, end, scale, minimum }) => (
            <tr key={from}><td>{from} to {end - 1}</td><td>{float(scale)}</td>{hasMinima && <td>{float(minimum)}</td>}</tr>
          ))}
        </tbody>
      </table>
      <h5>Values</h5>
      <p class="values">{block.values.map(float).join('  ')}</p>
    </>
  );
}
