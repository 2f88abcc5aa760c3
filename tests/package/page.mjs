// What functions that run in a page, and the worker, need: served to them, since they cannot bring it along.

/** FNV-1a of 32 bits. */
export function hashOf(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** What is compared of a model, or of a directory, which has no bytes. */
export function tell({ format, metadata, tensors }) {
  return {
    format,
    keys: [...metadata.keys()],
    tensors: tensors.map((tensor) => {
      const { name, dtype, shape, byteLength } = tensor;
      if (!tensor.bytes) return { name, dtype, shape: [...shape] };
      return { name, dtype, shape: [...shape], hash: byteLength === undefined ? null : hashOf(tensor.bytes()) };
    }),
  };
}

/** What an error tells, or null where there is none. */
export async function refusalOf(work) {
  try {
    await work();
    return null;
  } catch (error) {
    const { name, code, message, offset, expected, actual } = error;
    return { name, code, message, offset, expected, actual };
  }
}

/** The directory of the origin's own files, or null: WebKit has none, or refuses it as in a private window. */
export async function ownFiles() {
  try {
    return await navigator.storage.getDirectory();
  } catch {
    return null;
  }
}

/** Does something in a worker, under the same policy, and tells what came of it and what the policy refused. */
export async function inWorker(origin, work, ...args) {
  const worker = new Worker(`${origin}/tests/worker.mjs?csp=strict`, { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.failure ? reject(new Error(data.failure)) : resolve(data));
      worker.onerror = (event) => reject(new Error(event.message ?? 'the worker does not start'));
      worker.postMessage({ work, args });
    });
  } finally {
    worker.terminate();
  }
}
