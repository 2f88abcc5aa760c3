// The module stays small: what a page downloads before it can look into a model.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';

const { BALLAST_MODULE, BALLAST_WASM_BITS } = process.env;

// In bytes, with every codec and with gzip, zlib and zstd alone. With 64 bits, pointers are longer,
// and the libraries are not optimised as a whole.
const BUDGETS = {
  32: {
    'ballast.wasm': { plain: 320_000, gzipped: 140_000 },
    'common/ballast.wasm': { plain: 220_000, gzipped: 95_000 },
    'ballast-values.wasm': { plain: 100_000, gzipped: 30_000 },
  },
  64: {
    'ballast.wasm': { plain: 380_000, gzipped: 160_000 },
    'common/ballast.wasm': { plain: 260_000, gzipped: 110_000 },
  },
}[BALLAST_WASM_BITS];

for (const [name, budget] of Object.entries(BUDGETS)) {
  test(`${name} is within its budget`, (t) => {
    const bytes = fs.readFileSync(path.join(BALLAST_MODULE, name));
    const sizes = { plain: bytes.length, gzipped: zlib.gzipSync(bytes, { level: 9 }).length };
    t.diagnostic(`${name}: ${sizes.plain} bytes, ${sizes.gzipped} gzipped`);
    assert.ok(sizes.plain > 1000);
    for (const [kind, most] of Object.entries(budget)) {
      assert.ok(sizes[kind] <= most, `${name} has ${sizes[kind]} bytes ${kind}, and may have ${most}`);
    }
  });
}
