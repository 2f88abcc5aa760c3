// The module of the C API as the tests and the benchmarks use it: functions by their names in
// ballast.h, structures by the names of their fields, errors thrown. Thin on purpose: what is
// tested is the module.
import fs from 'node:fs';
import path from 'node:path';

// Parameters and result of each function: p is a pointer or a size_t, u a uint64_t, i an int.
const SIGNATURES = {
  version: 'ppp>p',
  error_free: 'p',
  options_create: '>p',
  options_free: 'p',
  options_set: 'piu>i',
  options_set_path: 'pp>i',
  data_close: 'p',
  data_siblings: 'ppppp>i',
  siblings_free: 'p',
  data_file: 'pp',
  loader_create: 'ppp>i',
  loader_free: 'p',
  loader_prepare: 'ppppp>i',
  loader_commit: 'ppp>i',
  loader_finish: 'ppp>i',
  loader_progress: 'pp',
  loader_has_directory: 'p>i',
  module_used: '>p',
  can_decode: 'p>i',
  loader_cancel: 'p',
  model_from_data: 'pppppp>i',
  model_close: 'p',
  model_summary: 'pp',
  model_tensor: 'ppp>i',
  model_find: 'pppp>i',
  model_shard: 'ppp>i',
  model_warning: 'ppp>i',
  model_entry: 'ppp>i',
  model_value: 'pppp>i',
  value_next: 'pp>i',
};

const VALUE = { bits: 'u', data: 'p', size: 'p', type: 'i', element_type: 'i' };
const STRUCTURES = {
  error: {
    offset: 'u', expected: 'u', actual: 'u', name: 'p', message: 'p', what: 'p', path: 'p',
    subject: 'p', subject_size: 'p', code: 'i', subject_kind: 'i', has: 'i', reserved: 'i',
    input_offset: 'u',
  },
  file: {
    file_size: 'u', data_offset: 'u', bytes: 'p', size: 'p', name: 'p', name_size: 'p', data: 'p',
    compression: 'p', compressed_size: 'u', is_mmap: 'i', is_complete: 'i',
  },
  progress: { done: 'u', total: 'u', input_done: 'u', input_total: 'u' },
  summary: {
    version: 'u', alignment: 'u', file_bytes: 'u', parameter_count: 'u', format: 'p',
    tensor_count: 'p', entry_count: 'p', warning_count: 'p', shard_count: 'p', is_sharded: 'i',
    is_complete: 'i',
  },
  tensor: {
    offset: 'u', nbytes: 'u', elements: 'u', shape: 'p', rank: 'p', name: 'p', name_size: 'p',
    dtype: 'p', dtype_size: 'p', bytes: 'p', shard: 'p', index: 'p', block_elements: 'i',
    block_bytes: 'i',
  },
  warning: { offset: 'u', name: 'p', message: 'p', code: 'i', reserved: 'i' },
  value: VALUE,
  entry: { offset: 'u', key: 'p', key_size: 'p', ...VALUE },
};

// What header and binding must agree on; the tests hold it against ballast.h.
export const OPTIONS = {
  total: 3, max_bytes: 4, lenient: 5, require_model: 6, decompress: 7, directory_only: 8, max_ratio: 9, max_window: 10,
  accept_index: 11,
  max_tensors: 16, max_header: 21,
};
export const UNKNOWN = 2n ** 64n - 1n;
const STRING = 8;
const ARRAY = 9;

/** A refusal, with everything that ballast_error has. */
export class BallastError extends Error {
  constructor(fields) {
    super(fields.what);
    Object.assign(this, fields);
  }
}

export class Ballast {
  constructor(module) {
    this.module = module;
    const options = module.ballast_options_create();
    this.bits = typeof options === 'bigint' ? 64 : 32;
    module.ballast_options_free(options);
    this.scratch = this.malloc(256);
  }

  static async load(folder) {
    const module = await WebAssembly.compile(fs.readFileSync(path.join(folder, 'ballast.wasm')));
    const env = {
      emscripten_notify_memory_growth() {},
      ballast_number: (at, size) =>
        Number(Buffer.from(exports.memory.buffer, typeof at === 'bigint' ? Number(at) : at >>> 0, Number(size))),
    };
    const { exports } = await WebAssembly.instantiate(module, { env });
    exports._initialize();
    return new Ballast(exports);
  }

  // ---- Memory: views are made anew for each use, because growing memory leaves the old ones empty.

  get heap() {
    return new Uint8Array(this.module.memory.buffer);
  }
  get heapBytes() {
    return this.heap.byteLength;
  }
  get data() {
    return new DataView(this.heap.buffer);
  }
  pointer(at) {
    return this.bits === 64 ? Number(this.data.getBigUint64(at, true)) : this.data.getUint32(at, true);
  }
  bytes(at, size) {
    return this.heap.subarray(at, at + size);
  }
  text(at, size = this.heap.indexOf(0, at) - at) {
    return new TextDecoder().decode(this.bytes(at, size));
  }
  /** Puts bytes or a string (with its NUL) into memory of their own. */
  put(content) {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(`${content}\0`) : content;
    const at = this.malloc(bytes.length || 1);
    this.heap.set(bytes, at);
    return at;
  }

  malloc(size) {
    return this.bits === 64 ? Number(this.module.malloc(BigInt(size))) : this.module.malloc(size) >>> 0;
  }
  free(at) {
    this.module.free(this.bits === 64 ? BigInt(at) : at);
  }

  // ---- Calls

  call(name, ...args) {
    const [parameters, result] = SIGNATURES[name].split('>');
    const given = args.map((argument, i) => {
      const wide = parameters[i] === 'u' || (parameters[i] === 'p' && this.bits === 64);
      return wide ? BigInt(argument) : Number(argument);
    });
    const answer = this.module[`ballast_${name}`](...given);
    if (result !== 'p') return answer;
    return this.bits === 64 ? Number(answer) : answer >>> 0;
  }

  /** A call that answers a code, with ballast_error** behind its other arguments. */
  must(name, ...args) {
    const error = this.scratch;
    if (this.call(name, ...args, error) === 0) return;
    const at = this.pointer(error);
    const fields = this.structure('error', at);
    for (const field of ['name', 'message', 'what', 'path']) fields[field] = this.text(fields[field]);
    fields.subject = this.text(fields.subject, fields.subject_size);
    this.call('error_free', at);
    throw new BallastError(fields);
  }

  structure(kind, at) {
    const width = { u: 8, i: 4, p: this.bits / 8 };
    const fields = {};
    let offset = at;
    for (const [name, type] of Object.entries(STRUCTURES[kind])) {
      offset = Math.ceil(offset / width[type]) * width[type];
      if (type === 'u') fields[name] = this.data.getBigUint64(offset, true);
      else if (type === 'i') fields[name] = this.data.getInt32(offset, true);
      else fields[name] = this.pointer(offset);
      offset += width[type];
    }
    return fields;
  }

  /** What a lookup fills in, or null where it finds nothing. */
  look(name, kind, ...args) {
    const out = this.scratch + 64;
    return this.call(name, ...args, out) ? this.structure(kind, out) : null;
  }

  // ---- Options, loaders, models

  options(settings) {
    if (!settings) return 0;
    const { path: name, ...numbers } = settings;
    const options = this.call('options_create');
    for (const [key, value] of Object.entries(numbers)) {
      if (this.call('options_set', options, OPTIONS[key], value)) throw new Error(`${key}=${value}`);
    }
    if (name !== undefined) {
      const at = this.put(name);
      this.call('options_set_path', options, at);
      this.free(at);
    }
    return options;
  }

  withOptions(settings, use) {
    const options = this.options(settings);
    try {
      return use(options);
    } finally {
      this.call('options_free', options);
    }
  }

  loader(settings) {
    return new Loader(this, settings);
  }

  /** One model of data that it takes. */
  model(data, settings, names) {
    const list = this.malloc(data.length * 16 || 1);
    const width = this.bits / 8;
    const store = (at, value) =>
      this.bits === 64 ? this.data.setBigUint64(at, BigInt(value), true) : this.data.setUint32(at, value, true);
    const strings = names?.map((name) => this.put(name)) ?? [];
    data.forEach((handle, i) => store(list + i * width, handle));
    strings.forEach((string, i) => store(list + (data.length + i) * width, string));
    try {
      return this.withOptions(settings, (options) => {
        const out = this.scratch + 16;
        const named = names ? list + data.length * width : 0;
        this.must('model_from_data', list, named, data.length, options, out);
        return new Model(this, this.pointer(out));
      });
    } finally {
      for (const string of strings) this.free(string);
      this.free(list);
    }
  }

  /** Bytes in JavaScript, in pieces of that size. */
  fromBytes(bytes, pieceSize = 1 << 20, settings = undefined) {
    const loader = this.loader(settings);
    try {
      for (let at = 0; at < bytes.length; at += pieceSize) loader.push(bytes.subarray(at, at + pieceSize));
      return loader.finish();
    } finally {
      loader.free();
    }
  }

  /** A file, read straight into the heap. */
  fromFile(file, settings = undefined, most = 16 << 20) {
    const loader = this.loader(settings);
    const descriptor = fs.openSync(file);
    try {
      loader.read(descriptor, most);
      return loader.finish();
    } finally {
      fs.closeSync(descriptor);
      loader.free();
    }
  }
}

class Loader {
  constructor(ballast, settings) {
    this.ballast = ballast;
    const out = ballast.scratch + 16;
    ballast.withOptions(settings, (options) => ballast.must('loader_create', options, out));
    this.handle = ballast.pointer(out);
  }
  /** Where the next bytes go: a view of the heap, good until the next call. */
  prepare(want) {
    const out = this.ballast.scratch + 16;
    this.ballast.must('loader_prepare', this.handle, want, out, out + 8);
    return this.ballast.bytes(this.ballast.pointer(out), this.ballast.pointer(out + 8));
  }
  commit(count) {
    this.ballast.must('loader_commit', this.handle, count);
  }
  push(bytes) {
    while (bytes.length > 0) {
      const room = this.prepare(bytes.length);
      const count = room.length;
      room.set(bytes.subarray(0, count));
      this.commit(count);
      if (count === 0) return; // the directory is there, and no more is wanted
      bytes = bytes.subarray(count);
    }
  }
  read(descriptor, most) {
    for (let position = 0; ; ) {
      const room = this.prepare(most);
      const got = fs.readSync(descriptor, room, 0, room.length, position);
      this.commit(got);
      position += got;
      if (got === 0) return;
    }
  }
  get progress() {
    const out = this.ballast.scratch + 16;
    this.ballast.call('loader_progress', this.handle, out);
    return this.ballast.structure('progress', out);
  }
  get hasDirectory() {
    return this.ballast.call('loader_has_directory', this.handle) === 1;
  }
  finish() {
    const out = this.ballast.scratch + 16;
    this.ballast.must('loader_finish', this.handle, out);
    return this.ballast.pointer(out);
  }
  cancel() {
    this.ballast.call('loader_cancel', this.handle);
  }
  free() {
    this.ballast.call('loader_free', this.handle);
  }
}

class Model {
  constructor(ballast, handle) {
    this.ballast = ballast;
    this.handle = handle;
  }
  get summary() {
    this.ballast.call('model_summary', this.handle, this.ballast.scratch + 64);
    const fields = this.ballast.structure('summary', this.ballast.scratch + 64);
    return { ...fields, format: this.ballast.text(fields.format) };
  }
  #tensor(found) {
    if (!found) return null;
    const shape = [];
    for (let i = 0; i < found.rank; ++i) shape.push(Number(this.ballast.data.getBigUint64(found.shape + 8 * i, true)));
    return {
      ...found,
      name: this.ballast.text(found.name, found.name_size),
      dtype: this.ballast.text(found.dtype, found.dtype_size),
      shape,
    };
  }
  tensor(index) {
    return this.#tensor(this.ballast.look('model_tensor', 'tensor', this.handle, index));
  }
  find(name) {
    const key = this.ballast.put(name);
    const found = this.ballast.look('model_find', 'tensor', this.handle, key, new TextEncoder().encode(name).length);
    this.ballast.free(key);
    return this.#tensor(found);
  }
  *tensors() {
    for (let i = 0; i < this.summary.tensor_count; ++i) yield this.tensor(i);
  }
  shard(index) {
    const found = this.ballast.look('model_shard', 'file', this.handle, index);
    return found && { ...found, name: this.ballast.text(found.name, found.name_size) };
  }
  warning(index) {
    const found = this.ballast.look('model_warning', 'warning', this.handle, index);
    return found && { ...found, name: this.ballast.text(found.name), message: this.ballast.text(found.message) };
  }
  entry(index) {
    const found = this.ballast.look('model_entry', 'entry', this.handle, index);
    return found && { ...found, key: this.ballast.text(found.key, found.key_size), value: this.ballast.scratch + 64 };
  }
  /** Steps through the strings of an array by ballast_value_next. */
  *strings(key) {
    const name = this.ballast.put(key);
    const found = this.ballast.look('model_value', 'value', this.handle, name, key.length);
    this.ballast.free(name);
    if (found?.type !== ARRAY || found.element_type !== STRING) return;
    const rest = this.ballast.malloc(64);
    this.ballast.heap.copyWithin(rest, this.ballast.scratch + 64, this.ballast.scratch + 64 + 40);
    try {
      for (let item; (item = this.ballast.look('value_next', 'value', rest)); ) {
        yield this.ballast.text(item.data, item.size);
      }
    } finally {
      this.ballast.free(rest);
    }
  }
  close() {
    this.ballast.call('model_close', this.handle);
  }
}

/** The names of the functions that this binding knows. */
export const FUNCTIONS = Object.keys(SIGNATURES).map((name) => `ballast_${name}`);
