// A worker of the tests: it does with the package what a page asks for, and answers.
import { inspect, open } from '../dist/web.js';
import { hashOf, ownFiles, tell } from './page.mjs';

const violations = [];
addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
  violations.push(`${effectiveDirective} ${blockedURI}`);
});

const LARGE = 48 << 20;

/** Safetensors of one tensor, which are all zeros. */
function largeHeader() {
  const text = JSON.stringify({ a: { dtype: 'U8', shape: [LARGE], data_offsets: [0, LARGE] } });
  return Uint8Array.of(text.length, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(text));
}

/** Lets `use` work with handles that read synchronously: the engine's own, or ones that are like them. */
async function withHandles(contents, use) {
  const folder = await ownFiles();
  if (!folder) return { own: false, ...await use(contents.map(imitation)) };
  const names = contents.map((_, i) => `ballast-${i}`);
  const handles = [];
  try {
    for (const [i, name] of names.entries()) {
      const file = await folder.getFileHandle(name, { create: true });
      const handle = await file.createSyncAccessHandle();
      handles.push(handle);
      const { head, size } = contents[i];
      handle.write(head, { at: 0 });
      handle.truncate(size);
    }
    return { own: true, ...await use(handles) };
  } finally {
    for (const handle of handles) handle.close();
    for (const name of names) await folder.removeEntry(name);
  }
}

function imitation({ head, size }) {
  return {
    getSize: () => size,
    read(room, { at }) {
      const length = Math.max(Math.min(room.length, size - at), 0);
      room.fill(0, 0, length).set(head.subarray(at, at + length));
      return length;
    },
  };
}

const WORK = {
  async url(url) {
    const model = await open(url);
    const told = tell(model);
    model.close();
    return told;
  },

  async handles(url) {
    const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
    const header = largeHeader();
    const contents = [{ head: bytes, size: bytes.length }, { head: header, size: header.length + LARGE }];
    return withHandles(contents, async ([small, large]) => {
      const model = await open(small);
      const told = tell(model);
      model.close();
      const head = await inspect(small);
      const listed = tell(head);
      const { name } = head.tensors.find(({ byteLength }) => byteLength > 0);
      const hash = hashOf(await head.tensor(name).read());
      head.close();
      return { told, listed, name, hash, ...await progressAndAbort(large), size: small.getSize() };
    });
  },
};

async function progressAndAbort(handle) {
  const steps = [];
  const model = await open(handle, { onProgress: (step) => steps.push(step) });
  const { byteLength } = model.tensor('a');
  model.close();
  const controller = new AbortController();
  const reason = new Error('enough');
  const last = await open(handle, {
    signal: controller.signal,
    onProgress: ({ loaded }) => {
      steps.aborted = loaded;
      controller.abort(reason);
    },
  }).then(() => 'nothing', (error) => (error === reason ? error.message : String(error)));
  const again = await open(handle);
  again.close();
  return { byteLength, loads: steps.map(({ loaded }) => loaded), total: steps.at(-1).total, last, aborted: steps.aborted };
}

onmessage = async ({ data: { work, args } }) => {
  try {
    postMessage({ value: await WORK[work](...args), violations });
  } catch (error) {
    postMessage({ failure: `${error}\n${error.stack}` });
  }
};
