// How long the demo keeps the page's own thread busy while its worker loads. A browser of its own for each figure;
// bench.py runs it.
//
//     package_demo.mjs ENGINE ORIGIN FILE    prints: the longest task of the page's thread during the load, in ms; the
//                                            time of the load in ms
//
// ORIGIN is a package_server.mjs with the roots demo (the built page), models (with FILE in it) and bench (this folder).
// A task is what keeps a message that the page sends to itself from coming: the longest gap between two of these.
import path from 'node:path';
import { launch } from '../package/browsers.mjs';

/** In the page: loads, and looks. */
async function load() {
  const until = async (look) => {
    while (!look()) await new Promise((resolve) => { setTimeout(resolve, 50); });
    return look();
  };
  const one = (selector) => document.querySelector(selector);
  const button = await until(() => one('.load .primary'));
  await new Promise((resolve) => { setTimeout(resolve, 1000); });
  const { port1, port2 } = new MessageChannel();
  let last = performance.now();
  let longest = 0;
  let isDone = false;
  port2.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    // Not all of a processor: the worker needs one.
    if (!isDone) setTimeout(() => port1.postMessage(0), 0);
  };
  port1.postMessage(0);
  const began = performance.now();
  button.click();
  await until(() => one('[data-load=loaded], [data-load=failed]'));
  const milliseconds = performance.now() - began;
  isDone = true;
  if (one('[data-load=failed]')) throw new Error(one('.load').textContent);
  return { longest, milliseconds };
}

const [engine, origin, file] = process.argv.slice(2);
const browser = await launch(engine, { runTimeout: 600_000 });
try {
  const page = await browser.page(`${origin}/demo/index.html#url=/models/${path.basename(file)}`);
  const { longest, milliseconds } = await page.run(load);
  console.log(longest, milliseconds);
} finally {
  await browser.close();
}
