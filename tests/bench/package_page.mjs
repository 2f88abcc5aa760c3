// What package_browser.mjs runs in a page, and in a worker of the page: copies a model into the origin's private file
// system, or loads it. Each way of loading ends with all of it in a WebAssembly memory.
const PIECE = 16 << 20;
const PAGE = 65536; // of WebAssembly

async function handleOf(name) {
  const root = await navigator.storage.getDirectory();
  return (await root.getFileHandle(name, { create: true })).createSyncAccessHandle();
}

function copied(buffer) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(buffer.byteLength / PAGE) });
  const heap = new Uint8Array(memory.buffer, 0, buffer.byteLength);
  heap.set(new Uint8Array(buffer));
  return heap;
}

const chosen = () => document.querySelector('input').files[0];

const ways = {
  open: ({ open }, url) => open(url),
  arrayBuffer: async (_, url) => copied(await (await fetch(url)).arrayBuffer()),
  'open-file': ({ open }) => open(chosen()),
  file: async () => copied(await chosen().arrayBuffer()),
  'open-opfs': async ({ open }, url) => open(await handleOf(nameOf(url))),
};

const nameOf = (url) => url.slice(url.lastIndexOf('/') + 1);

/** The first and the last bytes of a file, as it lies in memory. */
function endsOf(loaded, count) {
  if (loaded instanceof Uint8Array) return [[...loaded.subarray(0, count)], [...loaded.subarray(-count)]];
  const [first] = loaded.tensors;
  const { buffer, byteOffset } = first.bytes();
  const head = new Uint8Array(buffer, byteOffset - first.byteOffset, count);
  return [[...head], [...loaded.tensors.at(-1).bytes().subarray(-count)]];
}

let held; // until the page is closed: the peak is to be seen

export async function load({ way, module, url, ends }) {
  const library = await import(module);
  const start = performance.now();
  held = await ways[way](library, url);
  const milliseconds = performance.now() - start;
  return { milliseconds, memory: held.memory?.().peak ?? held.buffer.byteLength, ends: endsOf(held, ends) };
}

async function copy({ url, size }) {
  const handle = await handleOf(nameOf(url));
  for (let at = 0; at < size; at += PIECE) {
    const headers = { Range: `bytes=${at}-${Math.min(at + PIECE, size) - 1}` };
    handle.write(new Uint8Array(await (await fetch(url, { headers })).arrayBuffer()), { at });
  }
  handle.close();
}

let worker;

/** Does the same in a worker, which is started when it is first needed. */
export function inWorker(work, options) {
  worker ??= new Worker(import.meta.url, { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data: { error, value } }) => (error === undefined ? resolve(value) : reject(new Error(error)));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ work, options });
  });
}

if (typeof document === 'undefined') {
  const works = { load, copy, nothing: () => undefined };
  globalThis.onmessage = async ({ data: { work, options } }) => {
    try {
      postMessage({ value: await works[work](options) });
    } catch (error) {
      postMessage({ error: String(error) });
    }
  };
}
