// Where each tensor lies in its file, coloured by dtype.
import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { colour } from '../dtypes.js';
import { bytes, integer, printable, shape } from '../format.js';
import { pointIn, watchWidth } from '../place.js';
import type { Summary, TensorRow } from '../protocol.js';

/** Pixels of a line of the map. */
const LINE = 14;
const GAP = 2;
/** Bytes of a file that has one line; a larger one has more, up to so many. */
const MOST_LINES = 12;

interface Strip {
  readonly name: string;
  readonly size: number;
  readonly dataOffset: number;
  readonly lines: number;
  /** In the order of the file. */
  readonly tensors: readonly TensorRow[];
}

function stripsOf({ shards }: Summary, tensors: readonly TensorRow[]): readonly Strip[] {
  const inside: TensorRow[][] = shards.map(() => []);
  for (const tensor of tensors) inside[tensor.shard]?.push(tensor);
  return shards.map(({ name, fileBytes, dataOffset }, i) => {
    const mine = (inside[i] ?? []).filter((one) => (one.bytes ?? 0) > 0).sort((a, b) => a.offset - b.offset);
    const last = mine.at(-1);
    const size = Math.max(fileBytes ?? 0, last ? last.offset + (last.bytes ?? 0) : dataOffset, 1);
    const lines = shards.length > 4 ? 1 : Math.max(Math.min(Math.ceil(mine.length / 12), MOST_LINES), 1);
    return { name, size, dataOffset, lines, tensors: mine };
  });
}

interface MapProps {
  readonly summary: Summary;
  readonly tensors: readonly TensorRow[];
  readonly selected: TensorRow | undefined;
  readonly onSelect: (tensor: TensorRow) => void;
}

export function FileMap({ summary, tensors, selected, onSelect }: MapProps): VNode {
  const strips = useMemo(() => stripsOf(summary, tensors), [summary, tensors]);
  return (
    <section class="card map" aria-labelledby="map-title">
      <h3 id="map-title">Where the tensors lie</h3>
      <p class="hint">A line goes on in the next one. Hatched: the header. Point at it, or use the arrow keys and Enter.</p>
      {strips.map((strip, i) => <StripView key={i} strip={strip} selected={selected} onSelect={onSelect} isOnly={strips.length === 1} />)}
    </section>
  );
}

interface StripProps extends Pick<MapProps, 'selected' | 'onSelect'> {
  readonly strip: Strip;
  readonly isOnly: boolean;
}

/** The tensor at a byte, or the next one: by halves. */
function indexAt(tensors: readonly TensorRow[], offset: number): number {
  let low = 0;
  let high = tensors.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = tensors[middle] as TensorRow;
    if (one.offset + (one.bytes ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

const told = (tensor: TensorRow): string =>
  `${printable(tensor.name)}, ${printable(tensor.dtype)}, ${shape(tensor.shape)}, ${bytes(tensor.bytes ?? 0)} at byte ${integer(tensor.offset)}`;

function StripView({ strip, selected, onSelect, isOnly }: StripProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, setPointed] = useState<number | undefined>();
  const [width, setWidth] = useState(600);
  const { tensors, size, lines, name } = strip;
  const height = lines * (LINE + GAP) - GAP;
  const current = pointed ?? (selected ? tensors.indexOf(selected) : -1);

  useEffect(() => {
    const element = canvas.current?.parentElement;
    return element ? watchWidth(element, setWidth) : undefined;
  }, []);
  useEffect(() => {
    if (canvas.current) draw(canvas.current, strip, width, height, tensors[current]);
  }, [strip, width, current]);

  const at = (event: MouseEvent): number | undefined => {
    const [x, y] = canvas.current ? pointIn(canvas.current, event) : [0, 0];
    const offset = ((Math.floor(y * lines) + x) * size) / lines;
    const index = indexAt(tensors, offset);
    return (tensors[index]?.offset ?? Infinity) <= offset ? index : undefined;
  };
  const choose = (index: number | undefined): void => {
    const tensor = index === undefined ? undefined : tensors[index];
    if (tensor) onSelect(tensor);
  };
  const key = (event: KeyboardEvent): void => {
    const last = tensors.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowRight: current + 1, ArrowDown: current + 1, ArrowLeft: current - 1, ArrowUp: current - 1,
      Home: 0, End: last, PageDown: current + 10, PageUp: current - 10,
    };
    const to = Object.hasOwn(moves, event.key) ? moves[event.key] : undefined;
    if (to !== undefined) setPointed(Math.max(0, Math.min(to, last)));
    else if (event.key === 'Enter' || event.key === ' ') choose(current);
    else return;
    event.preventDefault();
  };
  const tensor = tensors[current];
  return (
    <div class="strip">
      {!isOnly && <p class="file"><bdi>{printable(name)}</bdi> {bytes(size)}</p>}
      <div>
        <canvas
          ref={canvas} tabIndex={0} role="slider" aria-label={`Tensors of ${printable(name) || 'the file'} in the order of the file`}
          aria-valuemin={1} aria-valuemax={Math.max(tensors.length, 1)} aria-valuenow={Math.max(current, 0) + 1}
          aria-valuetext={tensor ? told(tensor) : `${tensors.length} tensors`}
          onPointerMove={(event) => setPointed(at(event))} onPointerLeave={() => setPointed(undefined)}
          onClick={(event) => choose(at(event))} onKeyDown={key}
        />
      </div>
      <p class="hovered" aria-hidden="true">{tensor ? told(tensor) : ' '}</p>
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, strip: Strip, width: number, height: number, marked: TensorRow | undefined): void {
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  if (!context) return;
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const perLine = strip.size / strip.lines;
  /** A range of the file, line by line. */
  const fill = (begin: number, end: number, paint: (x: number, y: number, wide: number) => void): void => {
    for (let line = Math.floor(begin / perLine); line < strip.lines && line * perLine < end; ++line) {
      const from = Math.max(begin - line * perLine, 0) / perLine;
      const to = Math.min(end - line * perLine, perLine) / perLine;
      paint(from * width, line * (LINE + GAP), Math.max((to - from) * width, 0.5));
    }
  };
  context.fillStyle = style.getPropertyValue('--line');
  fill(0, strip.size, (x, y, wide) => context.fillRect(x, y, wide, LINE));
  context.fillStyle = style.getPropertyValue('--quiet');
  fill(0, strip.dataOffset, (x, y, wide) => {
    for (let dx = 0; dx < wide; dx += 4) context.fillRect(x + dx, y, Math.min(1.5, wide - dx), LINE);
  });
  for (const { offset, bytes: size, dtype } of strip.tensors) {
    context.fillStyle = colour(dtype);
    // A thin line between neighbours, where there is room for one.
    fill(offset, offset + (size ?? 0), (x, y, wide) => context.fillRect(x, y, wide > 3 ? wide - 1 : wide, LINE));
  }
  if (!marked) return;
  context.strokeStyle = style.getPropertyValue('--ink');
  context.lineWidth = 2;
  fill(marked.offset, marked.offset + (marked.bytes ?? 0), (x, y, wide) => context.strokeRect(x + 1, y + 1, Math.max(wide - 2, 1), LINE - 2));
}
