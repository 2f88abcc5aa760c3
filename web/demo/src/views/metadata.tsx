// Metadata, with their types. Arrays are fetched from the worker a page at a time.
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { call } from '../client.js';
import { count, integer, printable } from '../format.js';
import type { ArrayHead, Elements, Entry, Plain } from '../protocol.js';

const PAGE = 100;
const LONG_TEXT = 240;

const isArray = (value: Entry['value']): value is ArrayHead => typeof value === 'object';

const told = (value: Plain, element?: string): string =>
  typeof value === 'string' ? (element === 'array' ? value : printable(JSON.stringify(value))) : String(value);

export function MetadataTable({ entries }: { readonly entries: readonly Entry[] }): VNode {
  const [query, setQuery] = useState('');
  const [shown, setShown] = useState(PAGE);
  const wanted = query.toLowerCase();
  const found = entries.filter(({ key, value }) =>
    key.toLowerCase().includes(wanted) || (!isArray(value) && String(value).toLowerCase().includes(wanted)));
  return (
    <section class="card metadata" aria-labelledby="metadata-title">
      <h3 id="metadata-title">Metadata</h3>
      {entries.length > 12 && (
        <label class="search">
          <span>Search in keys and values</span>
          <input type="search" value={query} onInput={({ currentTarget }) => setQuery(currentTarget.value)} spellcheck={false} />
        </label>
      )}
      <p class="found" role="status">{query === '' ? '' : `${integer(found.length)} of `}{integer(entries.length)} {entries.length === 1 ? 'entry' : 'entries'}</p>
      <table>
        <thead><tr><th scope="col">Key</th><th scope="col">Type</th><th scope="col">Value</th></tr></thead>
        <tbody>
          {found.slice(0, shown).map(({ key, type, value }) => (
            <tr key={key}>
              <th scope="row"><bdi>{printable(key)}</bdi></th>
              <td><code>{isArray(value) ? `${value.element}[]` : type}</code></td>
              <td>{isArray(value) ? <ArrayView name={key} array={value} /> : <TextView short={told(value)} text={printable(String(value))} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length > shown && <button type="button" class="more" onClick={() => setShown(shown + PAGE)}>Show {integer(Math.min(PAGE, found.length - shown))} more</button>}
    </section>
  );
}

function TextView({ short, text }: { readonly short: string; readonly text: string }): VNode {
  if (short.length <= LONG_TEXT) return <bdi class="value">{short}</bdi>;
  return (
    <details>
      <summary><bdi class="value">{short.slice(0, LONG_TEXT)}…</bdi> <small>{integer(text.length)} characters</small></summary>
      <pre>{text}</pre>
    </details>
  );
}

function ArrayView({ name, array }: { readonly name: string; readonly array: ArrayHead }): VNode {
  const [isOpen, setOpen] = useState(false);
  const first = array.first.map((value) => told(value, array.element)).join(', ');
  return (
    <details class="array" data-array={name} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        {integer(array.length)} <bdi class="value">[{first.slice(0, LONG_TEXT)}{array.length > array.first.length || first.length > LONG_TEXT ? ', …' : ''}]</bdi>
      </summary>
      {isOpen && <Items name={name} array={array} />}
    </details>
  );
}

function Items({ name, array }: { readonly name: string; readonly array: ArrayHead }): VNode {
  const [query, setQuery] = useState('');
  const [begin, setBegin] = useState(0);
  const [found, setFound] = useState<Elements | undefined>();
  useEffect(() => {
    const controller = new AbortController();
    call('elements', [name, query, begin, begin + PAGE], { signal: controller.signal }).then(setFound, () => undefined);
    return () => controller.abort();
  }, [name, query, begin]);
  const total = found?.total ?? 0;
  const search = (text: string): void => {
    setQuery(text);
    setBegin(0);
  };
  return (
    <div class="items">
      {array.length > PAGE / 4 && (
        <label class="search">
          <span>Search in {integer(array.length)} elements</span>
          <input type="search" value={query} onInput={({ currentTarget }) => search(currentTarget.value)} spellcheck={false} />
        </label>
      )}
      <p class="found" role="status">
        {query !== '' && `${count(total, 'element')} found. `}
        {total > PAGE && `Shown: ${integer(begin + 1)} to ${integer(Math.min(begin + PAGE, total))}.`}
      </p>
      <ol>
        {found?.items.map(([index, value]) => (
          <li key={index}><span class="index">{index}</span> <bdi class="value">{told(value, array.element)}</bdi></li>
        ))}
      </ol>
      {total > PAGE && (
        <p class="paging">
          <button type="button" disabled={begin === 0} onClick={() => setBegin(Math.max(begin - PAGE, 0))}>Previous</button>
          <button type="button" disabled={begin + PAGE >= total} onClick={() => setBegin(begin + PAGE)}>Next</button>
        </p>
      )}
    </div>
  );
}
