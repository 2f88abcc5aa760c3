// Says what is in a model, loads it, and says what one of its tensors is like:
//
//   node node.mjs MODEL [TENSOR]     MODEL is a path or a URL, TENSOR by default the largest one
//
// The exit status is 0; 1 where the model cannot be had; 2 after wrong usage; 130 after Ctrl-C.
import os from 'node:os';
import { BallastError, inspect, open, preflight } from 'ballast-loader';

/** Text of a file may hold anything: what would move a cursor or turn the text around is escaped. */
const printable = (text) =>
  text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);

const grouped = (number) => number.toLocaleString('en');
const sized = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(2)} MB`);
/** Six digits of a number; all of a bigint, as which 64-bit integers come. */
const rounded = (value) => (typeof value === 'bigint' ? value : Number(value.toPrecision(6)));

/** Says what is in a model, from its directory alone, and answers which tensor is to be shown. */
async function look(source, wanted, options) {
  const head = await inspect(source, options);
  try {
    const bytes = new Map();
    for (const { dtype, byteLength = 0 } of head.tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
    const architecture = String(head.metadata.get('general.architecture') ?? 'no architecture');
    console.log(`${head.format}, ${printable(architecture)}, ${grouped(head.parameterCount)} parameters`);
    for (const [dtype, size] of bytes) console.log(`  ${printable(dtype)}: ${grouped(size)} bytes`);
    // Of what is compressed, nobody knows the size before it is read.
    console.log(`read ${grouped(head.bytesRead)} of ${head.fileBytes === undefined ? '?' : grouped(head.fileBytes)} bytes`);
    if (wanted !== undefined) return head.tensor(wanted).name;
    return head.tensors.toSorted((a, b) => (b.byteLength ?? 0) - (a.byteLength ?? 0))[0]?.name;
  } finally {
    head.close();
  }
}

/** One line, written over again and again. */
function showProgress({ loaded, total, rate }) {
  const all = total === undefined ? '' : ` of ${sized(total)}`;
  const pace = rate > 0 ? `, ${sized(rate)}/s` : '';
  const left = rate > 0 && total !== undefined ? `, ${Math.ceil((total - loaded) / rate)} s left` : '';
  process.stderr.write(`\r${sized(loaded)}${all}${pace}${left}\x1b[K`);
}

async function load(source, options) {
  if (!process.stderr.isTTY) return open(source, options);
  try {
    return await open(source, { ...options, onProgress: showProgress });
  } finally {
    process.stderr.write('\r\x1b[K');
  }
}

async function showTensor(tensor, signal) {
  const { count, min, max, mean, standardDeviation } = await tensor.stats({ signal });
  const first = await tensor.values({ rows: [0, Math.min(1, tensor.rowCount)], signal });
  console.log(`${printable(tensor.name)}, ${printable(tensor.dtype)}, ${tensor.shape.join(' x ') || 'one value'}`);
  console.log(`  ${grouped(count)} values from ${rounded(min)} to ${rounded(max)}`);
  console.log(`  mean ${rounded(mean)}, standard deviation ${rounded(standardDeviation)}`);
  console.log(`  first ${Array.from(first.subarray(0, 8), rounded).join(', ')}`);
}

/** Answers the exit status. */
async function show(source, wanted, signal) {
  const options = { signal, maxBytes: os.totalmem() };
  const name = await look(source, wanted, options);
  const { fits, message } = await preflight(source, options);
  console.log(message);
  if (!fits) return complain(`the model does not fit: ${message} (too_large)`, 1);

  const model = await load(source, options);
  try {
    if (name !== undefined) await showTensor(model.tensor(name), signal);
    const { used, peak } = model.memory();
    console.log(`${sized(used)} of memory, at most ${sized(peak)}`);
    return 0;
  } finally {
    model.close();
  }
}

function complain(message, status) {
  process.stderr.write(`${printable(message)}\n`);
  return status;
}

async function main(args) {
  if (args.length < 1 || args.length > 2) return complain('usage: node node.mjs MODEL [TENSOR]', 2);
  const controller = new AbortController();
  // Once: a second Ctrl-C ends the program as if nobody listened.
  process.once('SIGINT', () => controller.abort());
  try {
    return await show(args[0], args[1], controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return complain('cancelled', 130);
    if (!(error instanceof BallastError)) throw error;
    return complain(error.message, 1);  // which ends with error.code
  }
}

// Whoever reads what is printed may have seen enough, as `head` has.
process.stdout.once('error', () => process.exit(1));
process.exitCode = await main(process.argv.slice(2));
