// A model of some size without a download: made here, of numbers that look like weights.

const LAYERS = 32;
const HIDDEN = 1024;
const MIB = 1 << 20;

/** One MiB of BF16: the upper halves of floats that are normally distributed, nearly. */
function weights(): Uint8Array<ArrayBuffer> {
  const bits = new Uint16Array(MIB / 2);
  const float = new Float32Array(1);
  const view = new Uint32Array(float.buffer);
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < bits.length; ++i) {
    float[0] = (uniform() + uniform() + uniform() + uniform() - 2) / 16;
    bits[i] = (view[0] ?? 0) >>> 16;
  }
  return new Uint8Array(bits.buffer);
}

/** 256 MiB of safetensors, as a file. */
export function largeModel(): File {
  const tensors: [string, object][] = [];
  let end = 0;
  const tensor = (name: string, rows: number): void => {
    const begin = end;
    end += 2 * rows * HIDDEN;
    tensors.push([name, { dtype: 'BF16', shape: [rows, HIDDEN], data_offsets: [begin, end] }]);
  };
  for (let layer = 0; layer < LAYERS; ++layer) {
    const prefix = `model.layers.${layer}`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) tensor(`${prefix}.self_attn.${part}.weight`, HIDDEN / 4);
    tensor(`${prefix}.mlp.up_proj.weight`, (3 * HIDDEN) / 2);
    tensor(`${prefix}.mlp.down_proj.weight`, (3 * HIDDEN) / 2);
  }
  const text = JSON.stringify(Object.fromEntries([['__metadata__', { format: 'pt', made: 'in this page' }], ...tensors]));
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(header.length), true);
  const piece = weights();
  return new File([length, header, ...new Array<Uint8Array<ArrayBuffer>>(end / MIB).fill(piece)], 'large.safetensors');
}
