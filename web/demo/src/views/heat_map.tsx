// A part of a tensor as a picture: a line for each row, a colour for each value.
import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { call } from '../client.js';
import { float, integer } from '../format.js';
import { pointIn } from '../place.js';
import type { Slice, TensorRow } from '../protocol.js';
import { useCall } from '../use_call.js';
import { ErrorCard } from './error.jsx';
import { NumberInput } from './number_input.jsx';

const ROWS = 64;
const COLUMNS = 256;
/** Values that are decoded for a picture: of wide rows there are fewer. */
const MOST = 1 << 22;

type Colour = readonly [number, number, number];
const NEGATIVE: Colour = [33, 102, 200];
const MIDDLE: Colour = [245, 245, 245];
const POSITIVE: Colour = [214, 96, 20];
const NOT_FINITE: Colour = [255, 0, 220];

/** Between two colours. */
const mixed = (from: Colour, to: Colour, part: number): Colour =>
  [0, 1, 2].map((i) => Math.round((from[i] ?? 0) + ((to[i] ?? 0) - (from[i] ?? 0)) * part)) as unknown as Colour;

function paint(canvas: HTMLCanvasElement, { rows, columns, values }: Slice, most: number): void {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d');
  if (!context || rows === 0 || columns === 0) return;
  const image = context.createImageData(columns, rows);
  values.forEach((value, i) => {
    const part = most === 0 ? 0 : Math.abs(value) / most;
    const picked = Number.isFinite(value) ? mixed(MIDDLE, value < 0 ? NEGATIVE : POSITIVE, Math.sqrt(part)) : NOT_FINITE;
    image.data.set([...picked, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

function largest(values: Slice['values']): number {
  let most = 0;
  for (const value of values) {
    if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  }
  return most;
}

interface HeatMapProps {
  readonly tensor: TensorRow;
  readonly onPoint: (row: number, column: number) => void;
}

export function HeatMap({ tensor, onPoint }: HeatMapProps): VNode {
  const [row, setRow] = useState(0);
  const [column, setColumn] = useState(0);
  const { name, rows, columns } = tensor;
  const shown = Math.min(ROWS, rows - row, Math.max(Math.floor(MOST / columns), 1));
  const { value, failure } = useCall(
    (signal) => call('slice', [name, row, shown, column, COLUMNS], { signal }), [name, row, shown, column]);
  const upTo = `rows ${integer(row)} to ${integer(row + shown - 1)}, columns ${integer(column)} to ${integer(Math.min(column + COLUMNS, columns) - 1)}`;
  return (
    <section class="part" aria-labelledby="heat-title">
      <h4 id="heat-title">Heat map</h4>
      {failure && <ErrorCard title={name} failure={failure} heading={4} />}
      {value && <Picture slice={value} label={`Values in ${upTo}`} row={row} column={column} onPoint={onPoint} />}
      <p class="controls">
        <NumberInput id="first-row" label="first row" value={row} max={Math.max(rows - 1, 0)} onChange={setRow} />
        <NumberInput id="first-column" label="first column" value={column} max={Math.max(columns - 1, 0)} onChange={setColumn} />
        <small>{upTo} of {integer(rows)} × {integer(columns)}</small>
      </p>
    </section>
  );
}

interface PictureProps extends Pick<HeatMapProps, 'onPoint'> {
  readonly slice: Slice;
  readonly label: string;
  readonly row: number;
  readonly column: number;
}

function Picture({ slice, label, row, column, onPoint }: PictureProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, setPointed] = useState('');
  const most = useMemo(() => largest(slice.values), [slice]);
  const hasOthers = useMemo(() => slice.values.some((value) => !Number.isFinite(value)), [slice]);
  useEffect(() => {
    if (canvas.current) paint(canvas.current, slice, most);
  }, [slice, most]);
  const at = (event: MouseEvent): readonly [number, number] => {
    const [x, y] = canvas.current ? pointIn(canvas.current, event) : [0, 0];
    return [Math.floor(y * slice.rows), Math.floor(x * slice.columns)];
  };
  const point = (event: MouseEvent): void => {
    const [y, x] = at(event);
    setPointed(`row ${row + y}, column ${column + x}: ${float(slice.values[y * slice.columns + x] ?? 0)}`);
  };
  const height = Math.max(Math.min(slice.rows * 4, 256), 16);
  return (
    <figure class="heat">
      <canvas
        ref={canvas} role="img" aria-label={`${label}, from ${float(-most)} to ${float(most)}`} style={{ height: `${height}px` }}
        onPointerMove={point} onPointerLeave={() => setPointed('')}
        onClick={(event) => {
          const [y, x] = at(event);
          onPoint(row + y, column + x);
        }}
      />
      <figcaption>
        <span class="scale"><span>{float(-most)}</span><span class="ramp" /><span>{float(most)}</span></span>
        {hasOthers && <span class="others">NaN, ∞</span>}
        <span class="hovered" aria-hidden="true">{pointed}</span>
      </figcaption>
    </figure>
  );
}
