// Builds the package into dist/: `npm run build`, after the WebAssembly builds. Where these are is told by
// BALLAST_WASM32 and BALLAST_WASM64, the build folders of the presets of the same names.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const wasm32 = process.env.BALLAST_WASM32 || path.join(here, '../build/wasm32');
const wasm64 = process.env.BALLAST_WASM64 || path.join(here, '../build/wasm64');
const dist = path.join(here, 'dist');

const MODULES = {
  'ballast.wasm': path.join(wasm32, 'web/module/common/ballast.wasm'),
  'ballast-all.wasm': path.join(wasm32, 'web/module/ballast.wasm'),
  'ballast-values.wasm': path.join(wasm32, 'web/module/ballast-values.wasm'),
  'ballast-64.wasm': path.join(wasm64, 'web/module/ballast.wasm'),
  'command/ballast.cjs': path.join(wasm32, 'ballast.js'),
  'command/ballast.wasm': path.join(wasm32, 'ballast.wasm'),
};

fs.rmSync(dist, { recursive: true, force: true });
fs.mkdirSync(path.join(dist, 'command'), { recursive: true });
for (const [name, from] of Object.entries(MODULES)) fs.copyFileSync(from, path.join(dist, name));
fs.copyFileSync(path.join(here, '../LICENSE'), path.join(here, 'LICENSE'));

execFileSync(path.join(here, 'node_modules/.bin/tsc'), ['-p', here, '--emitDeclarationOnly'], { stdio: 'inherit' });

/** One file for each entry, small, whose stacks and objects have their names all the same. */
const common = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  keepNames: true,
  outdir: dist,
  logLevel: 'warning',
  // `using` and private names are rewritten where engines of two years ago lack them.
  supported: { using: false },
};
const src = (name) => path.join(here, 'src', `${name}.ts`);
// Imported when it is wanted, from beside whatever imports it.
await build({ ...common, entryPoints: [src('values')], platform: 'neutral' });
const external = ['./values.js'];
await build({ ...common, entryPoints: [src('web'), src('emscripten')], platform: 'browser', external });
await build({
  ...common, entryPoints: [src('inline')], platform: 'browser', loader: { '.wasm': 'binary' },
  alias: {
    'ballast-all.wasm': path.join(dist, 'ballast-all.wasm'),
    'ballast-values.wasm': path.join(dist, 'ballast-values.wasm'),
  },
});
await build({ ...common, entryPoints: [src('node'), src('emscripten_node'), src('cli')], platform: 'node', external });
fs.chmodSync(path.join(dist, 'cli.js'), 0o755);
