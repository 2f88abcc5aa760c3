// What a model is, at a glance.
import type { Ref, VNode } from 'preact';
import type { Opened } from '../app.jsx';
import { colour } from '../dtypes.js';
import { bytes, count, integer, parameters, printable, seconds, share } from '../format.js';
import type { DtypeShare, Summary } from '../protocol.js';

function readSentence({ fileBytes, bytesRead, milliseconds, shards }: Summary): string {
  const compressed = shards.some(({ compression }) => compression !== 'none');
  const of = fileBytes !== undefined ? bytes(fileBytes) : compressed ? 'a compressed model' : 'a model of unknown size';
  return `Inspected ${of} by reading ${bytes(bytesRead)} in ${seconds(milliseconds)}.`;
}

export function Overview({ opened, heading }: { readonly opened: Opened; readonly heading: Ref<HTMLHeadingElement> }): VNode {
  const { summary, title } = opened;
  const { format, version, shards, warnings } = summary;
  const codecs = [...new Set(shards.map(({ compression }) => compression))].filter((codec) => codec !== 'none');
  const facts: readonly (readonly [string, string])[] = [
    ['format', format === 'gguf' ? `GGUF ${version}` : 'safetensors'],
    ['architecture', summary.architecture ?? 'not said'],
    ['parameters', parameters(summary.parameters)],
    ['size', bytes(summary.fileBytes ?? summary.needed)],
    ['tensors', integer(summary.tensors)],
    ['files', shards.length > 1 ? count(shards.length, 'shard') : 'one'],
    ['compression', codecs.length > 0 ? codecs.join(', ') : 'none'],
  ];
  return (
    <div class="card overview">
      <h2 tabIndex={-1} ref={heading}><bdi>{printable(summary.title ?? title)}</bdi></h2>
      <p class="read">{readSentence(summary)}</p>
      <dl class="facts big">
        {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd><bdi>{printable(value)}</bdi></dd></div>)}
      </dl>
      <Mix dtypes={summary.dtypes} />
      {warnings.length > 0 && (
        <details class="warnings">
          <summary>{count(warnings.length, 'warning')}</summary>
          <ul>{warnings.map(({ message, code }, i) => <li key={i}>{printable(message)} ({code})</li>)}</ul>
        </details>
      )}
    </div>
  );
}

/** Dtypes that are told at once; models have one to five. */
const TOLD = 8;

function Legend({ dtypes, total }: { readonly dtypes: readonly DtypeShare[]; readonly total: number }): VNode {
  return (
    <ul class="legend">
      {dtypes.map(({ dtype, bytes: part, tensors }) => (
        <li key={dtype}>
          <span class="dot" style={{ background: colour(dtype) }} />
          <b>{printable(dtype)}</b> {share(part, total)} <small>{bytes(part)}, {count(tensors, 'tensor')}</small>
        </li>
      ))}
    </ul>
  );
}

/** The dtypes by the bytes that they take, as one bar. */
function Mix({ dtypes }: { readonly dtypes: readonly DtypeShare[] }): VNode | null {
  const total = dtypes.reduce((sum, one) => sum + one.bytes, 0);
  if (total === 0) return null;
  const told = dtypes.map((one) => `${one.dtype} ${share(one.bytes, total)}`).join(', ');
  return (
    <div class="mix">
      <div class="bar" role="img" aria-label={`dtypes by bytes: ${printable(told)}`}>
        {dtypes.map(({ dtype, bytes: part }) => (
          <span key={dtype} style={{ width: `${(100 * part) / total}%`, background: colour(dtype) }} title={`${printable(dtype)}: ${share(part, total)}`} />
        ))}
      </div>
      <Legend dtypes={dtypes.slice(0, TOLD)} total={total} />
      {dtypes.length > TOLD && (
        <details>
          <summary>{dtypes.length - TOLD} more</summary>
          <Legend dtypes={dtypes.slice(TOLD)} total={total} />
        </details>
      )}
    </div>
  );
}
