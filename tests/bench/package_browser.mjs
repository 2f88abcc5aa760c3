// What a load costs in a browser. A browser of its own for each figure; bench.py runs it.
//
//     package_browser.mjs ENGINE                    prints its version, or what keeps it from being used; status 1
//     package_browser.mjs ENGINE WAY ORIGIN FILE    prints: milliseconds; growth of the peak of the renderer over the
//                                                   page that is ready to load; the same of all processes; bytes of
//                                                   the WebAssembly memory; bytes of the model
//
// ORIGIN is a package_server.mjs with the roots dist (of the package), models (with FILE in it) and bench (this
// folder). Memory is the proportional set size, looked at every 50 ms. Each way ends with all of the file in a
// WebAssembly memory, and its first and last bytes are held against the file:
//
//     open          open() of its URL
//     arrayBuffer   fetch(), arrayBuffer(), and then set() into a memory of exactly its size
//     open-file     open() of a File that was chosen in the page
//     file          arrayBuffer() of such a File, and then set()
//     open-opfs     open() of a handle in the origin's private file system, in a worker
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { available, launch, missing } from '../package/browsers.mjs';

const SAMPLED = 50;
const SETTLED = 1500;
const TIMEOUT = 600_000;
const ENDS = 64; // bytes that are compared at each end

/** In the page: calls a function of package_page.mjs. */
async function call(origin, name, ...args) {
  return (await import(`${origin}/bench/package_page.mjs`))[name](...args);
}

/** Does something while the memory of the browser is looked at. */
async function watched(browser, work) {
  await sleep(SETTLED);
  const idle = await browser.memory();
  const before = new Map(idle.processes.map(({ pid, pss }) => [pid, pss]));
  const growth = { renderer: 0, total: 0 };
  const look = async () => {
    const now = await browser.memory();
    growth.total = Math.max(growth.total, now.total - idle.total);
    // That of the page, not one that the browser has made in the meantime for the next page.
    for (const { pid, kind, pss } of now.processes) {
      if (kind === 'renderer' && before.has(pid)) growth.renderer = Math.max(growth.renderer, pss - before.get(pid));
    }
  };
  let isDone = false;
  const finished = work().finally(() => { isDone = true; });
  const settled = finished.catch(() => undefined);
  while (!isDone) {
    await look();
    await Promise.race([settled, sleep(SAMPLED)]);
  }
  await look();
  return { ...await finished, ...growth };
}

/** Loads in a page that has done everything before. */
async function measure(browser, way, origin, file) {
  const options = { way, module: `${origin}/dist/web.js`, url: `${origin}/models/${path.basename(file)}`, ends: ENDS };
  const open = () => browser.page(`${origin}/echo.html`);
  const page = await open();
  if (way === 'open-opfs') {
    await page.run(call, origin, 'inWorker', 'copy', { ...options, size: fs.statSync(file).size });
    await page.close();
    const other = await open();
    await other.run(call, origin, 'inWorker', 'nothing');
    return watched(browser, () => other.run(call, origin, 'inWorker', 'load', options));
  }
  await page.run(() => { document.body.append(Object.assign(document.createElement('input'), { type: 'file' })); });
  await page.setFiles('input', [file]);
  return watched(browser, () => page.run(call, origin, 'load', options));
}

/** The first and the last bytes of a file. */
function endsOf(file) {
  const { size } = fs.statSync(file);
  const descriptor = fs.openSync(file);
  const ends = [0, size - ENDS].map((position) => {
    const bytes = Buffer.alloc(ENDS);
    fs.readSync(descriptor, bytes, 0, ENDS, position);
    return [...bytes];
  });
  fs.closeSync(descriptor);
  return ends;
}

const [engine, way, origin, file] = process.argv.slice(2);
if (way === undefined) {
  const { version } = await available(engine);
  console.log(version ?? await missing(engine));
  process.exitCode = version ? 0 : 1;
} else {
  const browser = await launch(engine, { runTimeout: TIMEOUT });
  try {
    const { milliseconds, renderer, total, memory, ends } = await measure(browser, way, origin, file);
    if (JSON.stringify(ends) !== JSON.stringify(endsOf(file))) throw new Error(`${engine}, ${way}: these are other bytes`);
    console.log(milliseconds, renderer, total, memory, fs.statSync(file).size);
  } finally {
    await browser.close();
  }
}
