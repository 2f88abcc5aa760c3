// What the tests of the demo do in the page: what a user does, and what a user sees.

export const all = (selector, within = document) => [...within.querySelectorAll(selector)];
export const one = (selector) => document.querySelector(selector);
export const textOf = (selector) => one(selector)?.textContent.trim();

/** Waits for something to be there, and answers it. */
export async function until(look, what, milliseconds = 30_000) {
  const end = performance.now() + milliseconds;
  for (;;) {
    const found = look();
    if (found) return found;
    if (performance.now() > end) throw new Error(`${what}: it does not come about. The page says: ${document.body.innerText.slice(0, 2000)}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

export const click = async (selector) => (await until(() => one(selector), selector)).click();

/** Types into an input, as far as scripts can. */
export function enter(selector, text, event = 'input') {
  const input = one(selector);
  input.value = text;
  input.dispatchEvent(new Event(event, { bubbles: true }));
}

/** The facts of a list, by name. */
export const factsOf = (selector) =>
  Object.fromEntries(all(`${selector} dl.facts > div`).map((pair) => [pair.querySelector('dt').textContent, pair.querySelector('dd').textContent]));

/** Waits for the model that was asked for, or the error. */
export async function outcome() {
  await until(() => !one('#model[aria-busy=true]') && one('#model .overview, #model .error, #model .choice'), 'a model, or an error');
  if (one('#model > .error')) {
    return { error: { heading: textOf('#model > .error h2'), message: textOf('#model > .error .message'), facts: factsOf('#model > .error') } };
  }
  if (one('#model .choice')) return { choice: all('#model .choice bdi').map(({ textContent }) => textContent) };
  return {
    title: textOf('.overview h2'), read: textOf('.overview .read'), facts: factsOf('.overview'),
    mix: all('.mix .legend li b').map(({ textContent }) => textContent),
    found: textOf('.tree .found'), keys: all('.metadata tbody th').map(({ textContent }) => textContent),
    warnings: all('.warnings li').map(({ textContent }) => textContent),
  };
}

/** Makes sure that what comes next is new. */
export async function opening(act) {
  const before = one('#model > *');
  await act();
  await until(() => one('#model > *') !== before || one('#model[aria-busy=true]'), 'another model');
  return outcome();
}

/** Drops files, or things like the entries of a folder, on the page. */
export function drop(files, entries) {
  const event = new Event('drop', { bubbles: true, cancelable: true });
  const items = (entries ?? files).map((entry) => ({ webkitGetAsEntry: () => (entries ? entry : null) }));
  Object.defineProperty(event, 'dataTransfer', { value: { files, items } });
  document.body.dispatchEvent(event);
}

const fileEntry = (file) => ({ isFile: true, isDirectory: false, file: (done) => done(file) });
export const folderEntry = (inside) => ({
  isFile: false,
  isDirectory: true,
  createReader: () => {
    const rest = inside.map((entry) => (entry instanceof File ? fileEntry(entry) : entry));
    // A few at a time, as engines do.
    return { readEntries: (done) => done(rest.splice(0, 2)) };
  },
});

export async function fileAt(url) {
  return new File([await (await fetch(url)).blob()], decodeURIComponent(url.slice(url.lastIndexOf('/') + 1)));
}

/** Chooses a tensor, and answers what is shown of it once all of it is there. */
export async function tensorShown(name) {
  const selector = `button[data-tensor="${CSS.escape(name)}"]`;
  for (const details of all('.tree details')) details.open = true;
  await until(() => one(selector), `the tensor ${name}`);
  one(selector).click();
  const panel = `.tensor-panel[data-shown="${CSS.escape(name)}"]`;
  await until(() => one(panel), `the panel of ${name}`);
  await until(() => one(`${panel} .error`) || (one(`${panel} .statistics`) && one(`${panel} .numbers li`) && isPainted(`${panel} .heat canvas`)
    && (!one(`${panel} .chart`) || one(`${panel} .chart canvas`)) && (!one(`${panel} #block-title`) || one(`${panel} .scales td`))), `values of ${name}`);
  return {
    error: textOf(`${panel} .error`),
    facts: factsOf(panel),
    numbers: all(`${panel} .numbers li`).map((item) => item.lastChild.textContent.trim()),
    heat: heatOf(`${panel} .heat canvas`),
    histogram: one(`${panel} .chart [role=img]`)?.getAttribute('aria-label') ?? textOf(`${panel} .part .hint`),
    drawn: one(`${panel} .chart canvas`)?.width > 0,
    fields: all(`${panel} .fields > div`).map((field) => ({ name: field.querySelector('code').textContent, bytes: field.querySelector('dd').textContent.split(' ').length })),
    scales: all(`${panel} .scales tbody tr`).length,
  };
}

/** A canvas is 300 wide before anything is drawn, and no heat map is. */
const isPainted = (selector) => (one(selector)?.width ?? 300) < 300;

/** How many colours a picture has, and its size. */
function heatOf(selector) {
  const { width, height } = one(selector);
  const { data } = one(selector).getContext('2d').getImageData(0, 0, width, height);
  const colours = new Set(new Uint32Array(data.buffer));
  return { width, height, colours: colours.size };
}

/** What a checker of accessibility has to say. */
export async function violations(theme) {
  if (!globalThis.axe) {
    const script = Object.assign(document.createElement('script'), { src: '/axe/axe.min.js' });
    document.head.append(script);
    await new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }));
  }
  document.documentElement.dataset.theme = theme;
  const found = await globalThis.axe.run(document, { resultTypes: ['violations'] });
  document.documentElement.dataset.theme = 'auto';
  return found.violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary}`));
}
