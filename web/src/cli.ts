#!/usr/bin/env node
// The command, through WebAssembly: the same program as natively. Files it reads by itself. Of a URL, this
// fetches as much as the directory takes, and hands the program a file that is as long and has nothing in
// the rest.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BallastError } from './errors.js';
import { inspectSource } from './head.js';
import type { Input, Ranges, Stream } from './input.js';
import { nodeValues } from './node_values.js';
import { nodeModules } from './node_wasm.js';
import { nodeInput, pathInput } from './node_sources.js';

const program = fileURLToPath(new URL('./command/ballast.cjs', import.meta.url));

/** Runs the program, and answers its exit status. */
function run(args: readonly string[], cwd?: string): number {
  const { status, error } = spawnSync(process.execPath, [program, ...args], { stdio: 'inherit', cwd });
  if (error) throw error;
  return status ?? 1;
}

const isUrl = (text: string): boolean => /^https?:/i.test(text);

/** Bytes that a file system takes for a name. */
const LONGEST_NAME = 255;

/** The name of the copy of a file: that of the URL, by which the program finds a set, where a file can have it. */
function nameOf({ name }: Input): string {
  const last = path.basename(name);
  const isName = !['', '.', '..'].includes(last) && !last.includes('\0') && Buffer.byteLength(last) <= LONGEST_NAME;
  return isName ? last : 'model';
}

/** Keeps a copy of all parts that are read. */
function copiedRanges(ranges: Ranges, file: string): Ranges {
  const descriptor = fs.openSync(file, 'w');
  fs.ftruncateSync(descriptor, ranges.size);
  return {
    size: ranges.size,
    read: async (offset, length, signal) => {
      const bytes = await ranges.read(offset, length, signal);
      fs.writeSync(descriptor, bytes, 0, bytes.length, offset);
      return bytes;
    },
    close: () => {
      fs.closeSync(descriptor);
      ranges.close();
    },
  };
}

/** Keeps a copy of a stream of unknown length, to its end. What is read is the copy. */
async function copiedStream(stream: Stream, file: string, signal?: AbortSignal): Promise<Stream> {
  const descriptor = fs.openSync(file, 'w');
  try {
    for (let piece = await stream.pull?.(); piece; piece = await stream.pull?.()) fs.writeSync(descriptor, piece);
  } finally {
    fs.closeSync(descriptor);
    stream.close();
  }
  return pathInput(file).stream(signal);
}

function copied(input: Input, folder: string): Input {
  const { sibling, ranges } = input;
  const file = path.join(folder, nameOf(input));
  return {
    ...input,
    stream: async (signal) => copiedStream(await input.stream(signal), file, signal),
    ranges: async (signal) => {
      const found = await ranges?.(signal);
      return found && copiedRanges(found, file);
    },
    ...(sibling && { sibling: (name: string) => copied(sibling(name), folder) }),
  };
}

/** Fetches the directory of a URL into a folder, and answers the path of the file, which no program takes for an option. */
async function fetchDirectory(url: string, folder: string): Promise<string> {
  let name = '';
  const input = (source: unknown) => {
    const found = nodeInput(source, {});
    if (!found) return undefined;
    name ||= nameOf(found);
    return copied(found, folder);
  };
  const head = await inspectSource({ modules: nodeModules, usual: 'all', input, values: nodeValues(nodeModules) }, url, {});
  head.close();
  return name.startsWith('-') ? `./${name}` : name;
}

async function inspectUrl(args: readonly string[]): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ballast-'));
  try {
    const local: string[] = [];
    for (const arg of args) local.push(isUrl(arg) ? await fetchDirectory(arg, folder) : arg);
    return run(local, folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (!args.some(isUrl)) return run(args);
  if (args[0] !== 'inspect') {
    process.stderr.write('ballast: only inspect takes a URL: it reads no more than the directory\n');
    return 2;
  }
  try {
    return await inspectUrl(args);
  } catch (error) {
    // A full disk, say, is no fault of this program either.
    const isSystem = error instanceof Error && 'syscall' in error;
    if (!(error instanceof BallastError) && !isSystem) throw error;
    process.stderr.write(`ballast: ${error.message}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
