// Loader: a load under way in the memory of an engine. JavaScript puts the bytes where C++ says.
import type { Engine, Settings } from './engine.js';

export class Loader {
  readonly #engine: Engine;
  #handle: number;

  constructor(engine: Engine, settings: Settings) {
    this.#engine = engine;
    this.#handle = engine.withOptions(settings, (options) => engine.make('ballast_loader_create', options));
  }

  /** Where the next bytes go: a view of the memory that is good until the next call. */
  prepare(want: number): Uint8Array {
    const [room, size] = this.#engine.pair('ballast_loader_prepare', this.#handle, want);
    return this.#engine.bytes(room, size);
  }

  commit(count: number): void {
    this.#engine.must('ballast_loader_commit', this.#handle, count);
  }

  /** Copies bytes to where they go. Stops early where the directory is there and was all that is wanted. */
  push(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      const room = this.prepare(rest.length);
      const { length } = room; // none afterwards, if the memory has grown
      if (length === 0) return;
      room.set(rest.subarray(0, length));
      this.commit(length);
      rest = rest.subarray(length);
    }
  }

  get hasDirectory(): boolean {
    return this.#engine.call('ballast_loader_has_directory', this.#handle) === 1;
  }

  /** Bytes in memory, bytes in all, and of compressed input how much of it is decoded. */
  get progress(): { done: number; total: number | undefined; inputDone: number; isCompressed: boolean } {
    const found = this.#engine.look('ballast_loader_progress', 'progress', this.#handle);
    if (!found) return { done: 0, total: undefined, inputDone: 0, isCompressed: false };
    return {
      done: found.done ?? 0,
      total: found.total,
      inputDone: found.inputDone ?? 0,
      isCompressed: (found.inputDone ?? 0) > 0,
    };
  }

  /** The data, which whoever takes them closes. */
  finish(): number {
    return this.#engine.make('ballast_loader_finish', this.#handle);
  }

  free(): void {
    this.#engine.call('ballast_loader_free', this.#handle);
    this.#handle = 0;
  }
}
