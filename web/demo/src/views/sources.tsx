// Where a model comes from: dropped, picked, by its address, or one of the samples.
import type { TargetedEvent, VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { droppedFiles } from '../find_models.js';
import { largeModel } from '../large_model.js';

export const SAMPLES = [
  { file: 'samples/tiny.gguf', title: 'A tiny llama', about: 'GGUF, quantized' },
  { file: 'samples/dtypes.gguf', title: 'Every dtype', about: 'GGUF, a tensor of each' },
  { file: 'samples/tiny.safetensors', title: 'A tiny safetensors', about: 'F32 and BF16' },
  { file: 'samples/tiny-00001-of-00003.gguf', title: 'Three shards', about: 'GGUF, by the first of them' },
  { file: 'samples/tiny.safetensors.index.json', title: 'An index and its shards', about: 'safetensors' },
  { file: 'samples/tiny.gguf.zst', title: 'Compressed by zstd', about: 'GGUF' },
  { file: 'samples/tiny.gguf.gz', title: 'Compressed by gzip', about: 'GGUF' },
  { file: 'samples/tiny.safetensors.xz', title: 'Compressed by xz', about: 'safetensors' },
] as const;

interface SourcesProps {
  readonly onUrl: (url: string) => void;
  readonly onFiles: (files: readonly File[]) => void;
}

export function Sources({ onUrl, onFiles }: SourcesProps): VNode {
  const isOver = useDrop(onFiles);
  const folder = useRef<HTMLInputElement>(null);
  useEffect(() => folder.current?.setAttribute('webkitdirectory', ''), []);
  const take = ({ currentTarget }: TargetedEvent<HTMLInputElement>): void => {
    const files = Array.from(currentTarget.files ?? []);
    currentTarget.value = ''; // so that the same file can be picked again
    if (files.length > 0) onFiles(files);
  };
  return (
    <section class={isOver ? 'sources over' : 'sources'} aria-labelledby="sources-title">
      <h2 id="sources-title">Open a model</h2>
      <p class="lead">
        Drop a file, several shards or a folder anywhere on this page. <strong>Nothing is uploaded</strong>: files are read
        here, piece by piece, and most of a file not at all.
      </p>
      <div class="pick">
        <label class="button primary">
          Choose files
          <input id="files" type="file" multiple onChange={take} />
        </label>
        <label class="button">
          Choose a folder
          <input id="folder" type="file" ref={folder} onChange={take} />
        </label>
        <AddressForm onUrl={onUrl} />
      </div>
      <h3 id="samples-title">Samples</h3>
      <ul class="samples" aria-labelledby="samples-title">
        {SAMPLES.map(({ file, title, about }) => (
          <li key={file}>
            <button type="button" data-sample={file} onClick={() => onUrl(file)}>
              <span>{title}</span> <small>{about}</small>
            </button>
          </li>
        ))}
        <li>
          <button type="button" data-made="large" onClick={() => onFiles([largeModel()])}>
            <span>A large one</span> <small>268 MB, made in this page</small>
          </button>
        </li>
      </ul>
    </section>
  );
}

function AddressForm({ onUrl }: Pick<SourcesProps, 'onUrl'>): VNode {
  const input = useRef<HTMLInputElement>(null);
  const submit = (event: Event): void => {
    event.preventDefault();
    const text = input.current?.value.trim() ?? '';
    if (text !== '') onUrl(text);
  };
  return (
    <form class="address" onSubmit={submit}>
      <label for="url">or its address</label>
      <input
        id="url" ref={input} type="text" inputMode="url" autocomplete="url" spellcheck={false}
        placeholder="https://huggingface.co/…/model.gguf"
      />
      <button type="submit">Open</button>
    </form>
  );
}

/** Files may be dropped anywhere. Answers whether some are being dragged over the page. */
function useDrop(onFiles: (files: readonly File[]) => void): boolean {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent): void => {
      event.preventDefault();
      setOver(true);
    };
    const leave = ({ relatedTarget }: DragEvent): void => {
      if (relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer) {
        void droppedFiles(event.dataTransfer).then((files) => {
          if (files.length > 0) onFiles(files);
        });
      }
    };
    const events = { dragover: over, dragleave: leave, drop } as const;
    for (const [name, listener] of Object.entries(events)) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(events)) removeEventListener(name, listener as EventListener);
    };
  }, [onFiles]);
  return isOver;
}
