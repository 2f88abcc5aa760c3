// How blocks of the quantized dtypes are laid out, and what their scales are: ggml/src/ggml-common.h and ggml-quants.c
// at d99724f2. The values themselves are the library's to decode.

export interface Field {
  readonly name: string;
  readonly bytes: number;
  readonly what: string;
}

const half = (name: string, what: string): Field => ({ name, bytes: 2, what });
const field = (name: string, bytes: number, what: string): Field => ({ name, bytes, what });
const D = half('d', 'scale of the block, F16');
const MIN = half('m', 'minimum, F16');
const DMIN = half('dmin', 'scale of the minima, F16');

const LAYOUTS: Readonly<Record<string, readonly Field[]>> = {
  Q1_0: [D, field('qs', 16, 'signs, a bit each')],
  Q2_0: [D, field('qs', 16, 'numbers of 2 bits')],
  Q4_0: [D, field('qs', 16, 'numbers of 4 bits')],
  Q4_1: [D, MIN, field('qs', 16, 'numbers of 4 bits')],
  Q5_0: [D, field('qh', 4, 'fifth bits'), field('qs', 16, 'low 4 bits')],
  Q5_1: [D, MIN, field('qh', 4, 'fifth bits'), field('qs', 16, 'low 4 bits')],
  Q8_0: [D, field('qs', 32, 'numbers of 8 bits')],
  Q8_1: [D, half('s', 'scale times the sum, F16'), field('qs', 32, 'numbers of 8 bits')],
  Q2_K: [field('scales', 16, 'scale and minimum of each 16, 4 bits each'), field('qs', 64, 'numbers of 2 bits'), D, DMIN],
  Q3_K: [field('hmask', 32, 'third bits'), field('qs', 64, 'low 2 bits'), field('scales', 12, 'scales of each 16, 6 bits'), D],
  Q4_K: [D, DMIN, field('scales', 12, 'scale and minimum of each 32, 6 bits each'), field('qs', 128, 'numbers of 4 bits')],
  Q5_K: [D, DMIN, field('scales', 12, 'scale and minimum of each 32, 6 bits each'), field('qh', 32, 'fifth bits'), field('qs', 128, 'low 4 bits')],
  Q6_K: [field('ql', 128, 'low 4 bits'), field('qh', 64, 'high 2 bits'), field('scales', 16, 'scales of each 16, 8 bits'), D],
  Q8_K: [field('d', 4, 'scale of the block, F32'), field('qs', 256, 'numbers of 8 bits'), field('bsums', 32, 'sums of each 16')],
  IQ1_S: [D, field('qs', 32, 'codes, low 8 bits'), field('qh', 16, 'codes, high bits; scales and signs of the shift')],
  IQ1_M: [field('qs', 32, 'codes, low 8 bits'), field('qh', 16, 'codes, high bits; signs of the shift'), field('scales', 8, 'scales of each 16, 3 bits; the scale of the block in the high bits')],
  IQ2_XXS: [D, field('qs', 64, 'codes, signs and scales of each 32')],
  IQ2_XS: [D, field('qs', 64, 'codes and signs'), field('scales', 8, 'scales of each 16, 4 bits')],
  IQ2_S: [D, field('qs', 64, 'codes, low 8 bits; signs'), field('qh', 8, 'codes, high bits'), field('scales', 8, 'scales of each 16, 4 bits')],
  IQ3_XXS: [D, field('qs', 64, 'codes'), field('gas', 32, 'signs and scales of each 32')],
  IQ3_S: [D, field('qs', 64, 'codes, low 8 bits'), field('qh', 8, 'codes, high bits'), field('signs', 32, 'signs'), field('scales', 4, 'scales of each 32, 4 bits')],
  IQ4_NL: [D, field('qs', 16, 'codes of 4 bits')],
  IQ4_XS: [D, field('scales_h', 2, 'scales of each 32, high 2 bits'), field('scales_l', 4, 'low 4 bits'), field('qs', 128, 'codes of 4 bits')],
  TQ1_0: [field('qs', 48, 'five numbers of three states in each'), field('qh', 4, 'four in each'), D],
  TQ2_0: [field('qs', 64, 'numbers of three states, 2 bits'), D],
  MXFP4: [field('e', 1, 'scale, a power of two (E8M0)'), field('qs', 16, 'floats of 4 bits (E2M1)')],
  NVFP4: [field('d', 4, 'scales of each 16 (UE4M3)'), field('qs', 32, 'floats of 4 bits (E2M1)')],
};

/** The fields of a block, from its first byte on; undefined for dtypes without blocks. */
export const layoutOf = (dtype: string): readonly Field[] | undefined =>
  Object.hasOwn(LAYOUTS, dtype) ? LAYOUTS[dtype] : undefined;

/** What a part of a block is multiplied with, and what is subtracted then. */
export interface Scale {
  readonly begin: number;
  readonly end: number;
  readonly scale: number;
  readonly minimum: number;
}

/** IEEE binary16. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** Four bits of exponent, three of fraction, no sign; 0x7f is no number. */
function fromUe4m3(byte: number): number {
  if (byte === 0 || byte === 0x7f) return 0;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  return exponent === 0 ? fraction * 2 ** -9 : (1 + fraction / 8) * 2 ** (exponent - 7);
}

/** The six bits of a scale and of a minimum of Q4_K and Q5_K. */
function packed6(scales: Uint8Array, i: number): readonly [number, number] {
  const at = (index: number): number => scales[index] ?? 0;
  if (i < 4) return [at(i) & 63, at(i + 4) & 63];
  return [(at(i + 4) & 15) | ((at(i - 4) >> 6) << 4), (at(i + 4) >> 4) | ((at(i) >> 6) << 4)];
}

/** The six bits of a scale of Q3_K, less 32. */
function packed3(scales: Uint8Array, i: number): number {
  const low = ((scales[i & 7] ?? 0) >> (i < 8 ? 0 : 4)) & 15;
  const high = ((scales[8 + (i & 3)] ?? 0) >> (2 * (i >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

type Part = number | readonly [scale: number, minimum: number];

/** How many parts a block has, and the scale of one of them. */
type Reader = (part: (name: string) => Uint8Array, view: (name: string) => DataView, i: number) => Part;

const nibble = (bytes: Uint8Array, i: number): number => ((bytes[i >> 1] ?? 0) >> (4 * (i & 1))) & 15;
const f16 = (view: DataView): number => fromHalf(view.getUint16(0, true));

const READERS: Readonly<Record<string, readonly [parts: number, read: Reader]>> = {
  Q2_K: [16, (part, view, i) => {
    const byte = part('scales')[i] ?? 0;
    return [f16(view('d')) * (byte & 15), f16(view('dmin')) * (byte >> 4)];
  }],
  Q3_K: [16, (part, view, i) => f16(view('d')) * packed3(part('scales'), i)],
  Q4_K: [8, (part, view, i) => {
    const [scale, minimum] = packed6(part('scales'), i);
    return [f16(view('d')) * scale, f16(view('dmin')) * minimum];
  }],
  Q6_K: [16, (_, view, i) => f16(view('d')) * view('scales').getInt8(i)],
  Q8_K: [1, (_, view) => view('d').getFloat32(0, true)],
  IQ1_S: [8, (_, view, i) => f16(view('d')) * (2 * ((view('qh').getUint16(2 * i, true) >> 12) & 7) + 1)],
  IQ1_M: [16, (_, view, i) => {
    const scales = view('scales');
    let d = 0;
    for (let j = 0; j < 4; ++j) d |= (scales.getUint16(2 * j, true) >> 12) << (4 * j);
    return fromHalf(d) * (2 * ((scales.getUint16(2 * (i >> 2), true) >> (3 * (i & 3))) & 7) + 1);
  }],
  IQ2_XXS: [8, (_, view, i) => (f16(view('d')) * (0.5 + (view('qs').getUint32(8 * i + 4, true) >>> 28))) / 4],
  IQ2_XS: [16, (part, view, i) => (f16(view('d')) * (0.5 + nibble(part('scales'), i))) / 4],
  IQ2_S: [16, (part, view, i) => (f16(view('d')) * (0.5 + nibble(part('scales'), i))) / 4],
  IQ3_XXS: [8, (_, view, i) => (f16(view('d')) * (0.5 + (view('gas').getUint32(4 * i, true) >>> 28))) / 2],
  IQ3_S: [8, (part, view, i) => f16(view('d')) * (1 + 2 * nibble(part('scales'), i))],
  IQ4_XS: [8, (part, view, i) => {
    const high = (view('scales_h').getUint16(0, true) >> (2 * i)) & 3;
    return f16(view('d')) * ((nibble(part('scales_l'), i) | (high << 4)) - 32);
  }],
  MXFP4: [1, (part) => 2 ** ((part('e')[0] ?? 0) - 127)],
  NVFP4: [4, (part, _, i) => fromUe4m3(part('d')[i] ?? 0)],
};

/** The scales of a block, part by part: what its numbers are multiplied with. */
export function scalesOf(dtype: string, block: Uint8Array, elements: number): readonly Scale[] {
  const layout = layoutOf(dtype);
  if (!layout) return [];
  const place = (wanted: string): readonly [number, number] => {
    let begin = 0;
    for (const { name, bytes } of layout) {
      if (name === wanted) return [begin, begin + bytes];
      begin += bytes;
    }
    return [0, 0];
  };
  const part = (name: string): Uint8Array => block.subarray(...place(name));
  const view = (name: string): DataView => {
    const { buffer, byteOffset, length } = part(name);
    return new DataView(buffer, byteOffset, length);
  };
  const same = dtype === 'Q5_K' ? 'Q4_K' : dtype;
  const usual: readonly [number, Reader] = [1, () => (layout.includes(MIN) ? [f16(view('d')), -f16(view('m'))] : f16(view('d')))];
  const [parts, read] = Object.hasOwn(READERS, same) ? (READERS[same] ?? usual) : usual;
  const size = elements / parts;
  return Array.from({ length: parts }, (_, i) => {
    const found = read(part, view, i);
    const [scale, minimum] = typeof found === 'number' ? [found, 0] : found;
    return { begin: i * size, end: (i + 1) * size, scale, minimum };
  });
}
