// Shows what is in a model before it is loaded, loads it, and says what its tensors are like.
import { BallastError, inspect, open } from './ballast-loader/web.js';

const element = (id) => document.getElementById(id);
const [address, url, files, status, cancel] = ['address', 'url', 'files', 'status', 'cancel'].map(element);
const [found, summary, tensors, load] = ['found', 'summary', 'tensors', 'load'].map(element);
const [progress, pace, statistics] = ['progress', 'pace', 'statistics'].map(element);

let source;
let model;
let controller = new AbortController();

const grouped = (number) => number.toLocaleString('en');
const sized = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(2)} MB`);

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle('error', isError);
}

/** Does one thing at a time: what was under way is given up. A task answers what there is to say of it. */
async function run(what, task) {
  controller.abort();
  controller = new AbortController();
  const { signal } = controller;
  const isCurrent = () => signal === controller.signal;
  say(what);
  cancel.disabled = false;
  try {
    const outcome = await task(signal);
    if (isCurrent()) say(outcome);
  } catch (error) {
    if (isCurrent()) {
      say(signal.aborted ? 'Cancelled.' : error.message, !signal.aborted);
      if (!model) forget();
    }
    if (!signal.aborted && !(error instanceof BallastError)) throw error;  // a mistake in here
  } finally {
    if (isCurrent()) cancel.disabled = true;
  }
}

function forget() {
  model?.close();
  model = undefined;
  progress.value = 0;
  pace.textContent = '';
  statistics.replaceChildren();
}

/** What a file says is text: it never becomes markup. */
function list(head) {
  const architecture = head.metadata.get('general.architecture') ?? 'no architecture';
  summary.textContent = `${head.format}, ${architecture}, ${grouped(head.parameterCount)} parameters`;
  const options = document.createDocumentFragment();
  for (const { name, dtype, shape } of head.tensors) {
    options.append(new Option(`${name}, ${dtype}, ${shape.join(' x ') || 'one value'}`));
  }
  tensors.replaceChildren(options);
  tensors.selectedIndex = 0;
  found.hidden = false;
}

function look(chosen) {
  found.hidden = true;
  return run('Reading the directory ...', async (signal) => {
    forget();
    source = chosen;
    const head = await inspect(source, { signal });
    list(head);
    head.close();
    return `Read ${grouped(head.bytesRead)} of ${head.fileBytes === undefined ? '?' : grouped(head.fileBytes)} bytes.`;
  });
}

function showProgress({ loaded, total, rate }) {
  if (total !== undefined) Object.assign(progress, { max: total, value: loaded });
  const all = total === undefined ? '' : ` of ${sized(total)}`;
  const speed = rate > 0 ? `, ${sized(rate)}/s` : '';
  const left = rate > 0 && total !== undefined ? `, ${Math.ceil((total - loaded) / rate)} s left` : '';
  pace.textContent = `${sized(loaded)}${all}${speed}${left}`;
}

function tell(term, text) {
  const [dt, dd] = ['dt', 'dd'].map((name) => document.createElement(name));
  dt.textContent = term;
  dd.textContent = text;
  statistics.append(dt, dd);
}

async function showStatistics(signal) {
  statistics.replaceChildren();
  const tensor = model.tensors[tensors.selectedIndex];
  if (tensor) {
    const { count, zero, nan, min, max, mean, standardDeviation } = await tensor.stats({ signal });
    tell('tensor', tensor.name);
    for (const [term, number] of Object.entries({ values: count, zeros: zero, NaN: nan })) tell(term, grouped(number));
    const numbers = { least: min, greatest: max, mean, 'standard deviation': standardDeviation };
    for (const [term, number] of Object.entries(numbers)) tell(term, number.toPrecision(6));
  }
  const { used, peak } = model.memory();
  return `In memory: ${sized(used)}, at most ${sized(peak)}.`;
}

address.addEventListener('submit', (event) => {
  event.preventDefault();
  look(url.value);
});

files.addEventListener('change', () => {
  if (files.files.length > 0) look(files.files.length === 1 ? files.files[0] : [...files.files]);
});

load.addEventListener('click', () => run('Loading ...', async (signal) => {
  forget();
  progress.removeAttribute('value');  // it moves, and says nothing yet
  model = await open(source, { signal, onProgress: showProgress });
  progress.value = progress.max;
  return showStatistics(signal);
}));

tensors.addEventListener('change', () => {
  if (model) run('Counting ...', showStatistics);
});

cancel.addEventListener('click', () => controller.abort());
