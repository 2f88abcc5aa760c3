// Which models there are among files: a folder may have several, each in one file or in shards, and much else.

export interface Found {
  readonly name: string;
  readonly files: readonly File[];
}

const MODEL = /\.(gguf|safetensors)(\.(gz|zz|zst|bz2|xz|lz4))?$/i;
const INDEX = /\.safetensors\.index\.json$/i;
const SHARD = /-\d{5,}-of-(\d{5,})(?=\.)/;

/** Of a shard, what all shards of its set are called. */
const setOf = (name: string): string => name.replace(SHARD, '-of-$1');

/** The models among files; where nothing looks like one, all files as they are. */
export function findModels(files: readonly File[]): readonly Found[] {
  const sets = new Map<string, File[]>();
  for (const file of files) {
    if (!MODEL.test(file.name)) continue;
    const set = setOf(file.name);
    sets.set(set, [...(sets.get(set) ?? []), file]);
  }
  for (const index of files.filter(({ name }) => INDEX.test(name))) join(sets, index);
  if (sets.size === 0) return files.length === 0 ? [] : [{ name: files[0]?.name ?? '', files }];
  return Array.from(sets.values(), (found) => {
    const sorted = found.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { name: sorted[0]?.name ?? '', files: sorted };
  });
}

/** An index belongs to the shards that are called as it is. */
function join(sets: Map<string, File[]>, index: File): void {
  const stem = index.name.replace(INDEX, '');
  for (const [set, files] of sets) {
    if (set.startsWith(`${stem}-of-`) && /\.safetensors$/i.test(set)) {
      files.push(index);
      return;
    }
  }
  sets.set(index.name, [index]);
}

/** The files of a folder and of those in it that was dropped, or of files. */
export async function droppedFiles(data: DataTransfer): Promise<readonly File[]> {
  // Entries must be taken before the first wait: the list is empty afterwards.
  const entries = Array.from(data.items, (item) => item.webkitGetAsEntry?.() ?? null);
  const files = Array.from(data.files);
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  return (await Promise.all(entries.map((entry) => (entry ? filesIn(entry) : [])))).flat();
}

async function filesIn(entry: FileSystemEntry): Promise<readonly File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject); })];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const all: File[] = [];
  // It gives some at a time, until it gives none.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (some.length === 0) return all;
    for (const inner of some) all.push(...await filesIn(inner));
  }
}

/** The address of the bytes, where a page about them was given. */
export function fileUrl(text: string): string {
  const trimmed = text.trim();
  return trimmed.replace(/^(https:\/\/huggingface\.co\/[^/]+\/[^/]+)\/blob\//, '$1/resolve/');
}
