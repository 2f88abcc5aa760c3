// The page: a source is chosen, a model is open, or it could not be.
import type { VNode } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { call } from './client.js';
import { failureOf } from './failure.js';
import type { Found } from './find_models.js';
import { fileUrl, findModels } from './find_models.js';
import { bytes, printable } from './format.js';
import type { Entry, Failure, Source, Step, Summary, TensorRow } from './protocol.js';
import { EnvironmentCard } from './views/environment.jsx';
import { ErrorCard } from './views/error.jsx';
import { FileMap } from './views/file_map.jsx';
import { Gallery } from './views/gallery.jsx';
import { LoadPanel } from './views/load.jsx';
import { MetadataTable } from './views/metadata.jsx';
import { Overview } from './views/overview.jsx';
import { Snippets } from './views/snippets.jsx';
import { Sources } from './views/sources.jsx';
import { TensorPanel } from './views/tensor.jsx';
import { TensorTree } from './views/tree.jsx';
import { ThemeButton } from './views/theme.jsx';

export interface Opened {
  readonly source: Source;
  readonly title: string;
  readonly summary: Summary;
  readonly tensors: readonly TensorRow[];
  readonly metadata: readonly Entry[];
}

type State =
  | { readonly kind: 'empty' }
  | { readonly kind: 'choosing'; readonly found: readonly Found[] }
  | { readonly kind: 'reading'; readonly title: string; readonly step?: Step }
  | { readonly kind: 'failed'; readonly title: string; readonly failure: Failure }
  | { readonly kind: 'open'; readonly opened: Opened };

/** Tensors that one message brings: taking in more would be felt on the page. */
const BATCH = 2000;

interface Wanted {
  readonly source: Source;
  readonly title: string;
  /** All of it is loaded, and let go: what is wrong behind the directory shows. */
  readonly isChecked?: boolean;
}

async function readAll({ source, title, isChecked }: Wanted, signal: AbortSignal, onStep: (step: Step) => void): Promise<Opened> {
  const summary = await call('inspect', [source], { signal, onStep });
  if (isChecked) {
    await call('load', [], { signal, onStep });
    await call('free', []);
  }
  const tensors: TensorRow[] = [];
  while (tensors.length < summary.tensors) {
    tensors.push(...await call('tensors', [tensors.length, tensors.length + BATCH], { signal }));
  }
  return { source, title, summary, tensors, metadata: await call('metadata', [], { signal }) };
}

const addressIn = (hash: string): string | null => new URLSearchParams(hash.slice(1)).get('url');

export function App(): VNode {
  const [state, setState] = useState<State>({ kind: 'empty' });
  const controller = useRef(new AbortController());

  const open = useCallback(async (wanted: Wanted) => {
    controller.current.abort();
    const mine = (controller.current = new AbortController());
    const { title } = wanted;
    setState({ kind: 'reading', title });
    try {
      const opened = await readAll(wanted, mine.signal, (step) => setState({ kind: 'reading', title, step }));
      if (!mine.signal.aborted) setState({ kind: 'open', opened });
    } catch (error) {
      if (!mine.signal.aborted) setState({ kind: 'failed', title, failure: failureOf(error) });
    }
  }, []);

  const openUrl = useCallback((text: string, isChecked = false) => {
    const title = fileUrl(text);
    const address = `#${new URLSearchParams({ url: title })}`;
    if (location.hash !== address) history.replaceState(null, '', address);
    const url = URL.canParse(title, location.href) ? new URL(title, location.href).href : title;
    void open({ source: { kind: 'url', url }, title, isChecked });
  }, [open]);

  const openFiles = useCallback((files: readonly File[]) => {
    history.replaceState(null, '', location.pathname + location.search);
    const found = findModels(files);
    const [first] = found;
    if (found.length > 1) setState({ kind: 'choosing', found });
    else if (first) void open({ source: { kind: 'files', files: first.files }, title: first.name });
  }, [open]);

  const cancel = (): void => {
    controller.current.abort();
    setState({ kind: 'empty' });
  };

  useEffect(() => {
    const follow = (): void => {
      const url = addressIn(location.hash);
      if (url) openUrl(url);
    };
    follow();
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [openUrl]);

  return (
    <>
      <header class="top">
        <a class="skip" href="#content">Skip to the content</a>
        <h1>Ballast</h1>
        <p>Look into any model, in the page.</p>
        <ThemeButton />
      </header>
      <main id="content" tabIndex={-1}>
        <Sources onUrl={openUrl} onFiles={openFiles} />
        <Model state={state} onCancel={cancel} onChoose={({ files, name }) => void open({ source: { kind: 'files', files }, title: name })} />
        <Gallery onUrl={(url) => openUrl(url, true)} />
        <EnvironmentCard />
        <Snippets />
      </main>
      <footer>
        <p>Ballast reads GGUF and safetensors, plain or compressed, in C++, browsers and Node. This page is static files: there is no server behind it.</p>
      </footer>
    </>
  );
}

interface ModelProps {
  readonly state: State;
  readonly onCancel: () => void;
  readonly onChoose: (found: Found) => void;
}

function Model({ state, onCancel, onChoose }: ModelProps): VNode {
  return (
    <section id="model" aria-busy={state.kind === 'reading'}>
      {state.kind === 'choosing' && <Choice found={state.found} onChoose={onChoose} />}
      {state.kind === 'reading' && (
        <div class="card reading" role="status">
          <h2>Reading <bdi>{printable(state.title)}</bdi></h2>
          <p>{state.step ? `${bytes(state.step.loaded)} read` : 'The first bytes are on their way.'}</p>
          <button type="button" onClick={onCancel}>Cancel</button>
        </div>
      )}
      {state.kind === 'failed' && <ErrorCard title={state.title} failure={state.failure} />}
      {state.kind === 'open' && <OpenModel key={state.opened} opened={state.opened} />}
    </section>
  );
}

function Choice({ found, onChoose }: { readonly found: readonly Found[]; readonly onChoose: (found: Found) => void }): VNode {
  return (
    <div class="card">
      <h2>Which of these {found.length} models?</h2>
      <ul class="choice">
        {found.map((one) => (
          <li key={one.name}>
            <button type="button" onClick={() => onChoose(one)}>
              <bdi>{printable(one.name)}</bdi> {bytes(one.files.reduce((sum, { size }) => sum + size, 0))}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function OpenModel({ opened }: { readonly opened: Opened }): VNode {
  const [selected, select] = useState<TensorRow | undefined>();
  const heading = useRef<HTMLHeadingElement>(null);
  const { summary, tensors, metadata, title } = opened;
  useEffect(() => {
    heading.current?.focus();
    const before = document.title;
    document.title = `${printable(summary.title ?? title)} in Ballast`;
    return () => { document.title = before; };
  }, []);
  return (
    <>
      <Overview opened={opened} heading={heading} />
      <FileMap summary={summary} tensors={tensors} onSelect={select} selected={selected} />
      <div class="columns">
        <TensorTree tensors={tensors} onSelect={select} selected={selected} />
        <TensorPanel key={selected?.name} tensor={selected} summary={summary} />
      </div>
      <MetadataTable entries={metadata} />
      <LoadPanel opened={opened} />
    </>
  );
}
