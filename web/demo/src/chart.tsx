// Charts by uPlot, in the colours of the page.
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { watchWidth } from './place.js';

const HEIGHT = 180;

const colourOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Fetched when there is something to draw. */
async function fetchPlot(): Promise<typeof UPlot> {
  // It writes numbers in the browser's language, which WebKit calls 'C' where the system says nothing else.
  try {
    new Intl.NumberFormat(navigator.language);
  } catch {
    Object.defineProperty(navigator, 'language', { value: 'en' });
  }
  return (await import('uplot')).default;
}

interface ChartProps {
  /** What it shows, for those who do not see it. */
  readonly label: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly kind: 'bars' | 'line';
  readonly formatX: (value: number) => string;
  readonly formatY: (value: number) => string;
}

function optionsOf(Plot: typeof UPlot, { kind, formatX, formatY }: ChartProps, width: number): UPlot.Options {
  const grid = { stroke: colourOf('--line'), width: 1 };
  const axis = { stroke: colourOf('--quiet'), grid, ticks: grid, font: '12px system-ui, sans-serif' };
  const paths = kind === 'bars' ? Plot.paths.bars?.({ size: [1, Infinity], gap: 1 }) : Plot.paths.linear?.();
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(formatX), space: 70, size: 30 },
      { ...axis, values: (_, ticks) => ticks.map(formatY), size: 62 },
    ],
    series: [{}, { stroke: colourOf('--accent'), fill: colourOf('--accent-soft'), width: 1, ...(paths ? { paths } : {}), points: { show: false } }],
  };
}

export function Chart(props: ChartProps): VNode {
  const { x, y, label, formatX, formatY } = props;
  const place = useRef<HTMLDivElement>(null);
  const shown = useRef<HTMLParagraphElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const data = useRef<[x: number[], y: number[]]>([[], []]);
  data.current = [[...x], [...y]];

  useEffect(() => {
    const element = place.current;
    let unwatch: (() => void) | undefined;
    let isGone = false;
    const hover = ({ cursor: { idx } }: UPlot): void => {
      const [xs, ys] = data.current;
      const text = idx === null || idx === undefined ? '' : `${formatX(xs[idx] ?? 0)}: ${formatY(ys[idx] ?? 0)}`;
      if (shown.current) shown.current.textContent = text;
    };
    void fetchPlot().then((Plot) => {
      if (!element || isGone) return;
      const options = optionsOf(Plot, props, element.clientWidth);
      const made = (plot.current = new Plot({ ...options, hooks: { setCursor: [hover] } }, data.current, element));
      unwatch = watchWidth(element, (width) => made.setSize({ width, height: HEIGHT }));
    });
    return () => {
      isGone = true;
      unwatch?.();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);
  useEffect(() => plot.current?.setData(data.current), [x, y]);

  return (
    <figure class="chart">
      <div ref={place} role="img" aria-label={label} />
      <p class="hovered" ref={shown} aria-hidden="true" />
    </figure>
  );
}
