// All tensors, grouped by block, and searched.
import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { colour } from '../dtypes.js';
import { bytes, count, integer, printable, shape, share } from '../format.js';
import type { TensorRow } from '../protocol.js';

/** Rows and groups that are shown at once; more are a click away. */
const PAGE = 200;
const GROUPS = 60;

interface Group {
  readonly name: string;
  readonly tensors: readonly TensorRow[];
  readonly bytes: number;
}

// 'blk.0', 'model.layers.0', 'encoder.block.3': up to the first number.
const BLOCK = /^(.*?(?:^|\.)\d+)\.[^]/;

function groupsOf(tensors: readonly TensorRow[]): readonly Group[] {
  const groups = new Map<string, TensorRow[]>();
  for (const tensor of tensors) {
    const name = BLOCK.exec(tensor.name)?.[1] ?? '';
    const group = groups.get(name);
    if (group) group.push(tensor);
    else groups.set(name, [tensor]);
  }
  return Array.from(groups, ([name, inside]) => ({
    name, tensors: inside, bytes: inside.reduce((sum, one) => sum + (one.bytes ?? 0), 0),
  }));
}

/** Which groups are open at first: with a few tensors or a search all of them, as far as one page goes. */
function openAtFirst(groups: readonly Group[], isWanted: boolean): ReadonlySet<string> {
  const open = new Set<string>();
  let rows = 0;
  for (const { name, tensors } of groups) {
    const more = Math.min(tensors.length, PAGE);
    if ((!isWanted && name !== '') || rows + more > PAGE) continue;
    rows += more;
    open.add(name);
  }
  return open;
}

/** All words of the query are in the name or the dtype. */
function matching(tensors: readonly TensorRow[], query: string): readonly TensorRow[] {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return tensors;
  return tensors.filter(({ name, dtype }) => {
    const text = `${name} ${dtype}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

interface Selecting {
  readonly selected: TensorRow | undefined;
  readonly onSelect: (tensor: TensorRow) => void;
}

export function TensorTree({ tensors, selected, onSelect }: Selecting & { readonly tensors: readonly TensorRow[] }): VNode {
  const [query, setQuery] = useState('');
  const [shown, setShown] = useState(GROUPS);
  const found = useMemo(() => matching(tensors, query), [tensors, query]);
  const groups = useMemo(() => groupsOf(found), [found]);
  const total = useMemo(() => tensors.reduce((sum, one) => sum + (one.bytes ?? 0), 0), [tensors]);
  const search = (text: string): void => {
    setQuery(text);
    setShown(GROUPS);
  };
  const open = useMemo(() => openAtFirst(groups, query !== '' || found.length <= 40), [groups]);
  return (
    <section class="card tree" aria-labelledby="tensors-title">
      <h3 id="tensors-title">Tensors</h3>
      <label class="search">
        <span>Search by name or dtype</span>
        <input type="search" id="search" value={query} onInput={({ currentTarget }) => search(currentTarget.value)} spellcheck={false} />
      </label>
      <p class="found" role="status">{query === '' ? count(tensors.length, 'tensor') : `${integer(found.length)} of ${count(tensors.length, 'tensor')}`}</p>
      <div class="groups">
        {groups.slice(0, shown).map((group) => (
          <GroupView key={`${query}\n${group.name}`} group={group} total={total} isOpen={open.has(group.name)} selected={selected} onSelect={onSelect} />
        ))}
        {groups.length > shown && (
          <button type="button" class="more" onClick={() => setShown(shown + GROUPS)}>
            Show {integer(Math.min(GROUPS, groups.length - shown))} more of {count(groups.length, 'group')}
          </button>
        )}
      </div>
    </section>
  );
}

interface GroupProps extends Selecting {
  readonly group: Group;
  readonly total: number;
  readonly isOpen: boolean;
}

function GroupView({ group, total, isOpen, selected, onSelect }: GroupProps): VNode {
  const [open, setOpen] = useState(isOpen);
  const [shown, setShown] = useState(PAGE);
  return (
    <details open={open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <b><bdi>{group.name === '' ? 'outside of blocks' : printable(group.name)}</bdi></b>
        <small>{count(group.tensors.length, 'tensor')}, {bytes(group.bytes)}, {share(group.bytes, total)}</small>
      </summary>
      {open && (
        <ul>
          {group.tensors.slice(0, shown).map((tensor) => (
            <li key={tensor.name}>
              <TensorButton tensor={tensor} prefix={group.name} total={total} isSelected={tensor === selected} onSelect={onSelect} />
            </li>
          ))}
        </ul>
      )}
      {open && group.tensors.length > shown && (
        <button type="button" class="more" onClick={() => setShown(shown + PAGE)}>
          Show {integer(Math.min(PAGE, group.tensors.length - shown))} more of {integer(group.tensors.length)}
        </button>
      )}
    </details>
  );
}

interface ButtonProps {
  readonly tensor: TensorRow;
  readonly prefix: string;
  readonly total: number;
  readonly isSelected: boolean;
  readonly onSelect: (tensor: TensorRow) => void;
}

function TensorButton({ tensor, prefix, total, isSelected, onSelect }: ButtonProps): VNode {
  const { name, dtype, bytes: size } = tensor;
  const rest = prefix === '' ? name : name.slice(prefix.length + 1);
  return (
    <button type="button" class="tensor" aria-pressed={isSelected} data-tensor={name} title={printable(name)} onClick={() => onSelect(tensor)}>
      <span class="name"><bdi>{name === '' ? '(no name)' : printable(rest)}</bdi></span>
      <span class="shape">{shape(tensor.shape)}</span>
      <span class="dtype"><span class="dot" style={{ background: colour(dtype) }} />{printable(dtype)}</span>
      <span class="size">{size === undefined ? 'size unknown' : bytes(size)}</span>
      <span class="share">{share(size ?? 0, total)}</span>
    </button>
  );
}
