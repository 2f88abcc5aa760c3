// What the demo says of blocks of the quantized dtypes: the fields make a block, and the scales that it reads out of the
// bytes are those with which the library's values come about.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';
import { BALLAST_INSTALLED, BALLAST_SOURCE, packageFolder } from './support.mjs';

const { BALLAST_DEMO } = process.env;
const FP4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const signed = (levels) => [...levels, ...levels.map((level) => -level)];
const from = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const odd = (levels) => signed(levels.map((level) => 2 * level + 1));

/** What numbers of a dtype can be before they are multiplied with the scale (ggml-common.h, ggml-quants.c). */
const LEVELS = {
  Q1_0: [-1, 1], Q2_0: from(-1, 2), Q4_0: from(-8, 7), Q4_1: from(0, 15), Q5_0: from(-16, 15), Q5_1: from(0, 31),
  Q8_0: from(-128, 127), Q8_1: from(-128, 127), Q8_K: from(-128, 127),
  Q2_K: from(0, 3), Q3_K: from(-4, 3), Q4_K: from(0, 15), Q5_K: from(0, 31), Q6_K: from(-32, 31),
  IQ1_S: signed([0, 1]).flatMap((level) => [level - 0.125, level + 0.125]),
  IQ1_M: signed([0, 1]).flatMap((level) => [level - 0.125, level + 0.125]),
  IQ2_XXS: signed([8, 25, 43]), IQ2_XS: signed([8, 25, 43]), IQ2_S: signed([8, 25, 43]),
  IQ3_XXS: signed(from(0, 15).map((level) => 4 * level + 4).concat(62)), IQ3_S: odd(from(0, 7)),
  IQ4_NL: IQ4, IQ4_XS: IQ4, TQ1_0: [-1, 0, 1], TQ2_0: from(-1, 2), MXFP4: signed(FP4), NVFP4: signed(FP4),
};

let blocks;
let model;
let bytes;
let folder;
before(async () => {
  const { build } = createRequire(path.join(BALLAST_SOURCE, 'web/package.json'))('esbuild');
  folder = fs.mkdtempSync(path.join(BALLAST_INSTALLED, 'blocks-'));
  const outfile = path.join(folder, 'blocks.mjs');
  await build({ entryPoints: [path.join(BALLAST_SOURCE, 'web/demo/src/blocks.ts')], outfile, format: 'esm' });
  blocks = await import(pathToFileURL(outfile));
  const { open } = await import(pathToFileURL(path.join(packageFolder, 'dist/node.js')));
  bytes = fs.readFileSync(path.join(BALLAST_DEMO, 'samples/dtypes.gguf'));
  model = await open(bytes);
});
after(() => {
  model.close();
  fs.rmSync(folder, { recursive: true });
});

test('every dtype in blocks has a layout, whose fields are a block, and no other dtype has one', () => {
  const inBlocks = model.tensors.filter(({ blockElements }) => blockElements > 1);
  assert.deepEqual(inBlocks.map(({ dtype }) => dtype).sort(), Object.keys(LEVELS).sort());
  for (const { dtype, blockElements, blockBytes } of model.tensors) {
    const layout = blocks.layoutOf(dtype);
    assert.equal(layout !== undefined, blockElements > 1, dtype);
    if (layout) assert.equal(layout.reduce((sum, { bytes: size }) => sum + size, 0), blockBytes, dtype);
  }
  assert.equal(blocks.layoutOf('__proto__'), undefined);
});

for (const dtype of Object.keys(LEVELS)) {
  test(`the scales of ${dtype} are those of its values`, async () => {
    const tensor = model.tensor(`dtype.${dtype}.weight`);
    const { blockElements, blockBytes, byteOffset, elementCount } = tensor;
    const values = await tensor.values();
    const levels = new Set();
    for (let index = 0; index < elementCount / blockElements; ++index) {
      const at = byteOffset + index * blockBytes;
      const scales = blocks.scalesOf(dtype, new Uint8Array(bytes.subarray(at, at + blockBytes)), blockElements);
      assert.deepEqual(scales.map(({ begin }) => begin), scales.map((_, i) => (i * blockElements) / scales.length));
      for (const { begin, end, scale, minimum } of scales) {
        for (let i = begin; i < end; ++i) {
          const value = values[index * blockElements + i];
          const level = scale === 0 ? 0 : (value + minimum) / scale;
          const nearest = LEVELS[dtype].find((one) => Math.abs(one - level) < 1e-3);
          assert.ok(scale === 0 ? value === -minimum || value + minimum === 0 : nearest !== undefined,
            `${dtype}, block ${index}, value ${i}: ${value} is ${level} times ${scale} less ${minimum}`);
          levels.add(nearest);
        }
      }
    }
    assert.ok(levels.size > LEVELS[dtype].length / 3, `${dtype}: ${levels.size} levels`);
  });
}
