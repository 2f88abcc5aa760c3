// Models of one tensor, for the tests of values: made here, byte by byte.

const number = (size, value) => {
  const bytes = Buffer.alloc(size);
  if (size === 4) bytes.writeUInt32LE(value);
  else bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** GGUF with a tensor "t": its shape with the contiguous dimension first, the id of its type, its bytes. */
export function gguf(id, shape, data) {
  const head = Buffer.concat([
    Buffer.from('GGUF'), number(4, 3), number(8, 1), number(8, 0), number(8, 1), Buffer.from('t'),
    number(4, shape.length), ...shape.map((size) => number(8, size)), number(4, id), number(8, 0),
  ]);
  const padding = (size) => Buffer.alloc((32 - (size % 32)) % 32);
  return Buffer.concat([head, padding(head.length), data, padding(data.length)]);
}

/** safetensors with a tensor "t": the contiguous dimension is the last. */
export function safetensors(dtype, shape, data) {
  const text = JSON.stringify({ t: { dtype, shape, data_offsets: [0, data.length] } });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  return Buffer.concat([number(8, header.length), header, data]);
}

/** Two codes in a byte, the first in the low half; four in three bytes, from the lowest bits on. */
export function pack(bits, codes) {
  const out = Buffer.alloc((codes.length * bits) / 8);
  codes.forEach((code, i) => {
    for (let bit = 0; bit < bits; ++bit) {
      const at = i * bits + bit;
      out[at >> 3] |= ((code >> bit) & 1) << (at & 7);
    }
  });
  return out;
}

/** IEEE binary16, by its definition. */
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Blocks of Q8_0: a scale, and 32 small numbers. Answers the bytes and what they stand for. */
export function q8(scales, quantOf) {
  const data = Buffer.alloc(34 * scales.length);
  const values = new Float32Array(32 * scales.length);
  scales.forEach((scale, block) => {
    data.writeUInt16LE(scale, 34 * block);
    for (let i = 0; i < 32; ++i) {
      const quant = quantOf(32 * block + i);
      data.writeInt8(quant, 34 * block + 2 + i);
      values[32 * block + i] = Math.fround(quant * half(scale));
    }
  });
  return { data, values };
}

/** Where two lists of numbers differ, any NaN being any other; or -1. */
export function difference(left, right) {
  if (left.length !== right.length) return Math.min(left.length, right.length);
  return left.findIndex((value, i) => !Object.is(value, right[i]));
}
