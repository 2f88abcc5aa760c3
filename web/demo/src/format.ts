// Numbers and names as people read them.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** 4683073184 as '4.68 GB'. */
export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    ++unit;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]}`;
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** 7241732096 as '7.24B'. */
export const parameters = (count: number): string => compact.format(count);

/** 128256 as '128,256'. */
export const integer = (count: number): string => grouped.format(count);

export const share = (part: number, whole: number): string => `${whole === 0 ? 0 : ((100 * part) / whole).toFixed(part < whole / 100 ? 2 : 1)} %`;

export const shape = (sizes: readonly number[]): string => (sizes.length === 0 ? 'scalar' : sizes.map(integer).join(' × '));

export const count = (number: number, noun: string): string => `${integer(number)} ${noun}${number === 1 ? '' : 's'}`;

export function seconds(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.max(milliseconds, 1).toFixed(0)} ms`;
  if (milliseconds < 90_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.round(milliseconds / 60_000)} min`;
}

/** A float of a statistic: four digits. */
export function float(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}

export const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

// What controls terminals and the direction of text, and what has no width.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** Names and texts of files may have anything in them: what cannot be seen is shown by its number. */
export const printable = (text: string): string =>
  text.replace(UNSEEN, (sign) => (sign === '\n' ? '\n' : `\u27e8U+${sign.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}\u27e9`));
