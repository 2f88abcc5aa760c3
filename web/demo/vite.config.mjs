// Builds the demo: static files that work under any path. What it is built from is told by BALLAST_DEMO_SAMPLES, the
// folder that the target `demo-samples` makes, and where it goes by BALLAST_DEMO, by default build/demo.
import path from 'node:path';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = path.dirname(fileURLToPath(import.meta.url));
const samples = process.env.BALLAST_DEMO_SAMPLES ?? path.join(here, '../../build/release/demo-samples');

/** Puts the sample models beside the page, as they are. */
const withSamples = {
  name: 'samples',
  apply: 'build',
  writeBundle: ({ dir }) => {
    for (const folder of ['samples', 'broken']) {
      fs.cpSync(path.join(samples, folder), path.join(dir, folder), { recursive: true });
    }
  },
};

export default defineConfig({
  root: here,
  base: './',
  resolve: { alias: { 'ballast-loader': path.join(here, '../dist/web.js') } },
  plugins: [withSamples],
  worker: { format: 'es' },
  build: {
    outDir: process.env.BALLAST_DEMO ?? path.join(here, '../../build/demo'),
    emptyOutDir: true,
    target: 'es2022',
    // A strict policy allows no data: addresses, and what a preload of modules would polyfill is there.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
