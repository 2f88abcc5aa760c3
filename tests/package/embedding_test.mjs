// The package and a program of Emscripten's that links ballast::exports, in Node: models lie in the program's
// own heap, once, and end when they should. BALLAST_EMBEDDING and BALLAST_EMBEDDING64 are the folders of
// the program, tests/embedding, with addresses of 32 and of 64 bits; either may be missing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { serve } from './server.mjs';
import {
  BALLAST_SAMPLES, BALLAST_SOURCE, assertBytes, assertSame, inspected, packageFolder, read, refusal, sample, temporaryFolder,
} from './support.mjs';

const entry = (name) => import(pathToFileURL(path.join(packageFolder, 'dist', name)).href);
const { BallastError, LimitError, LoadedModel, loadInto } = await entry('emscripten_node.js');
const { hasWasm64 } = await entry('node.js');

const GGUF = 'tiny.gguf';
const SAFETENSORS = 'tiny.safetensors';
const FIRST = 'tiny-00001-of-00003.gguf';
const SHARDS = [1, 2, 3].map((number) => `tiny-0000${number}-of-00003.gguf`);

function hashOf(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

const truths = new Map();
/** What the command says of a sample: asked once. */
const truthOf = (name) => truths.get(name) ?? truths.set(name, inspected(sample(name))).get(name);

/** A GGUF of one I8 tensor, "w". */
function ggufOf(bytes, claimed = bytes.length) {
  const head = Buffer.alloc(96);
  let at = head.write('GGUF');
  at = head.writeUInt32LE(3, at);
  at = head.writeBigUInt64LE(1n, at);
  at = head.writeBigUInt64LE(0n, at);
  at = head.writeBigUInt64LE(1n, at);
  at += head.write('w', at);
  at = head.writeUInt32LE(1, at);
  at = head.writeBigUInt64LE(BigInt(claimed), at);
  at = head.writeUInt32LE(24, at);
  head.writeBigUInt64LE(0n, at);
  return Buffer.concat([head.subarray(0, 64), bytes]);
}

/** The program: one instance, and its functions as JavaScript calls them. */
async function begin(folder) {
  const { default: create } = await import(pathToFileURL(path.join(folder, 'embedding.mjs')).href);
  const module = await create();
  const call = (name, result, types, ...args) => module.ccall(name, result, types, args);
  return {
    module,
    hash: (model, tensor) => call('hash_of', 'number', ['pointer', 'string'], model, tensor) >>> 0,
    address: (model, tensor) => Number(call('address_of', 'pointer', ['pointer', 'string'], model, tensor)),
    overwrite: (model, tensor, value) => call('overwrite', null, ['pointer', 'string', 'number'], model, tensor, value),
    number: (model, key) => call('number_of', 'number', ['pointer', 'string'], model, key),
    take: (model) => call('take', null, ['pointer'], model),
    taken: () => Number(call('taken', 'pointer', [])),
    used: () => module._used(),
    get size() {
      return module.HEAPU8.length;
    },
  };
}

/** A program whose first load is over: what loadInto keeps for itself is there. */
async function settled(folder) {
  const program = await begin(folder);
  (await loadInto(program.module, sample(GGUF))).close();
  return program;
}

const programs = { 32: process.env.BALLAST_EMBEDDING, 64: process.env.BALLAST_EMBEDDING64 };
const lacking = (bits) => (!programs[bits] && 'it was not built') || (bits === '64' && !hasWasm64() && 'no 64-bit memory');

for (const [bits, folder] of Object.entries(programs)) {
  describe(`a program with ${bits}-bit addresses`, { skip: lacking(bits) || false }, () => {
    let server;
    const url = (name, query = '') => `${server.origin}/samples/${name}${query}`;
    before(async () => {
      server = await serve({ samples: BALLAST_SAMPLES });
    });
    after(() => server?.close());

    test('it exports what the package calls, and keeps what it exports itself', async () => {
      const { module } = await begin(folder);
      const abi = fs.readFileSync(path.join(BALLAST_SOURCE, 'web/src/abi.ts'), 'utf8');
      const called = Array.from(abi.matchAll(/^ {2}(ballast_\w+): '/gm), ([, name]) => name);
      const exported = Object.keys(module).filter((name) => name.startsWith('_ballast_')).map((name) => name.slice(1));
      assert.ok(called.length > 20);
      assert.deepEqual(exported.sort(), [...called, 'ballast_js_free', 'ballast_js_malloc', 'ballast_js_show_heap'].sort());
      assert.equal(module._answer(), 42);
      assert.equal(typeof module.ccall, 'function');
    });

    const SOURCES = {
      path: (name) => sample(name),
      'file: URL': (name) => pathToFileURL(sample(name)),
      URL: (name) => new URL(url(name)),
      Response: (name) => fetch(url(name)),
      Blob: (name) => new Blob([read(name)]),
      ReadableStream: (name) => new Blob([read(name)]).stream(),
      'typed array': (name) => read(name),
      'gzipped Blob': (name) => new Blob([zlib.gzipSync(read(name))]),
      'gzipped stream of small pieces': (name) => (async function* () {
        const bytes = zlib.gzipSync(read(name));
        for (let i = 0; i < bytes.length; i += 31) yield bytes.subarray(i, i + 31);
      })(),
    };
    for (const [kind, source] of Object.entries(SOURCES)) {
      test(`a model from a ${kind} is the same in C++ and in JavaScript, at the same place`, async () => {
        const program = await begin(folder);
        for (const name of [GGUF, SAFETENSORS]) {
          const model = await loadInto(program.module, await source(name));
          assert.ok(model instanceof LoadedModel);
          assert.equal(model.bits, Number(bits));
          assertSame(model, truthOf(name));
          assertBytes(model, sample(name));
          for (const tensor of model.tensors.filter(({ byteLength }) => byteLength > 0)) {
            assert.equal(program.hash(model.handle, tensor.name), hashOf(tensor.bytes()), tensor.name);
            assert.equal(program.address(model.handle, tensor.name), tensor.bytes().byteOffset, tensor.name);
            assert.equal(tensor.bytes().buffer, program.module.HEAPU8.buffer);
          }
          for (const [key, { type, value }] of Object.entries(truthOf(name).metadata)) {
            if (/^[iu](8|16|32)$/.test(type)) assert.equal(program.number(model.handle, key), value, key);
          }
          assert.equal(program.number(model.handle, 'no such key'), -1);
          model.close();
        }
      });
    }

    test('a set is one model: from its first file, and from a list', async () => {
      const program = await begin(folder);
      for (const source of [sample(FIRST), url(FIRST), SHARDS.map(sample), SHARDS.map((name) => new Blob([read(name)]))]) {
        const model = await loadInto(program.module, source, { name: FIRST });
        assert.equal(model.shards.length, 3);
        for (const { name, shard, offset, nbytes } of truthOf(FIRST).tensors) {
          assert.equal(program.hash(model.handle, name), hashOf(read(shard).subarray(offset, offset + nbytes)), name);
        }
        model.close();
      }
    });

    test('there is one copy: what one side writes, the other sees', async () => {
      const program = await begin(folder);
      const model = await loadInto(program.module, ggufOf(Buffer.alloc(1000, 7)));
      const tensor = model.tensor('w');
      tensor.bytes()[500] = 9;
      assert.equal(program.hash(model.handle, 'w'), hashOf(Buffer.alloc(1000, 7).fill(9, 500, 501)));
      program.overwrite(model.handle, 'w', 200);
      assert.ok(tensor.bytes().every((byte) => byte === 200));
      model.close();
    });

    test('the heap takes a model once, and not more', async () => {
      const program = await settled(folder);
      const bytes = 24 << 20;
      const before = program.used();
      const model = await loadInto(program.module, ggufOf(Buffer.alloc(bytes, 1)));
      assert.ok(program.used() - before >= bytes);
      assert.ok(program.used() - before < bytes + (1 << 20), `${program.used() - before}`);
      model.close();
      assert.equal(program.used(), before);
    });

    test('a model that was given away belongs to the program', async () => {
      const program = await settled(folder);
      const before = program.used();
      const model = await loadInto(program.module, sample(GGUF));
      const { name } = model.tensors[0];
      const hash = hashOf(model.tensors[0].bytes());
      const { handle } = model;
      assert.equal(model.give(), handle);
      program.take(handle);
      assert.equal(model.isClosed, true);
      model.close();
      for (const use of [() => model.give(), () => model.handle, () => model.tensors, () => model.tensor(name)]) {
        assert.equal((await refusal(use)).code, 'closed');
      }
      assert.equal(program.taken(), handle);
      assert.equal(program.hash(handle, name), hash);
      program.take(0);
      assert.equal(program.used(), before);
    });

    test('closing gives everything back: fifty loads are no more than one', async () => {
      const program = await settled(folder);
      const [used, size] = [program.used(), program.size];
      const gzipped = zlib.gzipSync(read(GGUF));
      for (let i = 0; i < 50; ++i) {
        const model = await loadInto(program.module, [sample(GGUF), gzipped, new Blob([read(SAFETENSORS)])][i % 3]);
        assert.ok(model.tensors.length > 0 && model.metadata.size > 0);
        model.close();
        model.close();
        assert.equal(program.used(), used);
      }
      assert.equal(program.size, size);
    });

    test('programs, and loads into one of them, do not disturb each other', async () => {
      const [one, two] = [await begin(folder), await begin(folder)];
      const models = await Promise.all([[one, GGUF], [one, SAFETENSORS], [two, GGUF], [one, GGUF]].map(async ([program, name]) =>
        ({ program, name, model: await loadInto(program.module, url(name)) })));
      for (const { program, name, model } of models) {
        assertBytes(model, sample(name));
        for (const tensor of model.tensors.filter(({ byteLength }) => byteLength > 0)) {
          assert.equal(program.hash(model.handle, tensor.name), hashOf(tensor.bytes()));
        }
      }
      for (const { model } of models) model.close();
    });

    test('views are made anew when the memory has grown', async () => {
      const program = await begin(folder);
      const small = await loadInto(program.module, sample(GGUF));
      const [tensor] = small.tensors;
      const view = tensor.bytes();
      const bytes = Buffer.from(view);
      const { size } = program;
      const large = Buffer.alloc(size + (8 << 20));
      for (let i = 0; i < large.length; i += 997) large[i] = i;
      const model = await loadInto(program.module, new Blob([ggufOf(large)]));
      assert.ok(program.size > size);
      assert.equal(view.length, 0);
      assert.ok(bytes.equals(tensor.bytes()));
      assert.ok(large.equals(model.tensor('w').bytes()));
      assert.equal(program.hash(model.handle, 'w'), hashOf(large));
      // And where it is the program that makes it grow.
      const grown = program.size;
      const block = program.module._ballast_js_malloc(bits === '64' ? BigInt(grown) : grown);
      assert.ok(program.size > grown);
      assert.ok(bytes.equals(tensor.bytes()));
      assert.deepEqual(model.memory(), { used: program.size, peak: program.size });
      program.module._ballast_js_free(block);
    });

    test('a load that fails leaves nothing behind', async (t) => {
      const program = await settled(folder);
      const [used, size] = [program.used(), program.size];
      const lonely = path.join(temporaryFolder(t), FIRST);
      fs.copyFileSync(sample(FIRST), lonely);
      const flipped = zlib.gzipSync(read(GGUF));
      flipped[flipped.length - 6] ^= 1;
      const large = ggufOf(Buffer.alloc(17 << 20)); // of which a ratio is asked
      const FAILURES = [
        ['no_such_file_or_directory', sample('none')],
        ['http_status', url(GGUF, '?status=500')],
        ['html_page', url(GGUF, '?html=1')],
        ['outside_file', read(GGUF).subarray(0, -1000)],
        ['bad_checksum', flipped],
        ['missing_shard', lonely],
        ['incomplete_set', [sample(SHARDS[0]), sample(SHARDS[1])]],
        ['too_large', large, { maxBytes: 1 << 20 }],
        ['ratio_too_high', zlib.gzipSync(large), { maxRatio: 2 }],
        ['unsupported_source', 42],
      ];
      for (const [code, source, options] of FAILURES) {
        const error = await refusal(() => loadInto(program.module, source, options), code);
        assert.ok(error instanceof BallastError, String(error));
        assert.equal(error.code, code, error.message);
        assert.equal(program.used(), used, code);
      }
      assert.equal(program.size, size);
    });

    test('an abort ends a load at once, and frees what had come', async () => {
      const program = await settled(folder);
      const used = program.used();
      for (const source of [url(GGUF, '?stall=20000'), [sample(SHARDS[0]), url(SHARDS[1], '?stall=500'), sample(SHARDS[2])]]) {
        const controller = new AbortController();
        const reason = new Error('enough');
        setTimeout(() => controller.abort(reason), 100);
        assert.equal(await refusal(() => loadInto(program.module, source, { signal: controller.signal })), reason);
        assert.equal(program.used(), used);
      }
      assert.equal(await refusal(() => loadInto(program.module, sample(GGUF), { signal: AbortSignal.abort('no') })), 'no');
    });

    test('a model that does not fit is refused, and the program goes on', async () => {
      const program = await settled(folder);
      const other = await loadInto(program.module, ggufOf(Buffer.alloc(4 << 20)));
      const used = program.used();
      const claimed = bits === '64' ? 2 ** 46 : 2 ** 31 - 2 ** 20; // of the 2 GiB that the program may have
      const stream = new Blob([ggufOf(Buffer.alloc(1 << 20), claimed)]).stream(); // whose size nobody knows
      const error = await refusal(() => loadInto(program.module, stream));
      assert.ok(error instanceof LimitError, String(error));
      assert.equal(program.used(), used);
      (await loadInto(program.module, sample(GGUF))).close();
      assert.equal(program.used(), used);
      other.close();
    });

    test('options reach the program', async () => {
      const { module } = await begin(folder);
      const padded = Buffer.concat([read(SAFETENSORS), Buffer.alloc(3)]);
      assert.equal((await refusal(() => loadInto(module, padded))).code, 'trailing_bytes');
      const steps = [];
      const model = await loadInto(module, padded, { lenient: true, maxBytes: 2 ** 40, onProgress: (step) => steps.push(step) });
      assert.deepEqual(model.warnings.map(({ code }) => code), ['trailing_bytes']);
      assert.equal(steps.at(-1).loaded, padded.length);
      model.close();
      const error = await refusal(() => loadInto(module, Buffer.from('nothing'), { name: 'its name' }));
      assert.match(error.message, /^its name: /);
    });
  });
}

test('what is no such program is told what to do', async () => {
  for (const module of [{}, { _ballast_options_create: () => 8 }, { HEAPU8: new Uint8Array(8), _malloc: () => 0, _free: () => {} }]) {
    const error = await refusal(() => loadInto(module, sample(GGUF)));
    assert.equal(error.code, 'no_module');
    assert.match(error.message, /does not export _ballast_\w+: link it with ballast::exports/);
  }
});
