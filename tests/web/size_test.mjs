// The module stays small: what a page downloads before it can look into a model.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';

const { BALLAST_MODULE, BALLAST_WASM_BITS } = process.env;

// In bytes. With 64 bits, pointers are longer, and the libraries are not optimised as a whole.
const BUDGETS = {
  32: { 'ballast.wasm': { plain: 120_000, gzipped: 50_000 }, 'ballast.mjs': { gzipped: 8_000 } },
  64: { 'ballast.wasm': { plain: 140_000, gzipped: 58_000 }, 'ballast.mjs': { gzipped: 8_000 } },
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
