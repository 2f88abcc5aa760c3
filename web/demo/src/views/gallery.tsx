// Files that are broken in the ways that files are, each with the error that its user meets.
import type { VNode } from 'preact';

export const BROKEN = [
  { file: 'truncated.gguf', title: 'Truncated', about: 'A download that broke off.' },
  { file: 'overlapping.safetensors', title: 'Overlapping tensors', about: 'Two tensors claim the same bytes.' },
  { file: 'page.gguf', title: 'A web page', about: 'The server sent a login page instead of the model.' },
  { file: 'pointer.safetensors', title: 'A Git LFS pointer', about: 'A clone without the large files.' },
  { file: 'checksum.gguf.gz', title: 'A bad checksum', about: 'One bit of a gzip file has changed.' },
  { file: 'half.gguf.zst', title: 'Half a frame', about: 'A zstd file that ends too early.' },
  { file: 'bomb.gguf.zst', title: 'A bomb', about: 'Two kilobytes that decode to 67 MB.' },
  { file: 'count.gguf', title: 'A count that cannot be', about: 'It promises a quintillion tensors.' },
  { file: 'twice.gguf', title: 'The same name twice', about: 'Which of the two tensors is meant?' },
  { file: 'dtype.gguf', title: 'A dtype of the past', about: 'Q4_2 was removed from the format.' },
  { file: 'name.gguf', title: 'Hostile names', about: 'It opens, and its names stay text.' },
] as const;

export function Gallery({ onUrl }: { readonly onUrl: (url: string) => void }): VNode {
  return (
    <section class="card gallery" aria-labelledby="gallery-title">
      <h2 id="gallery-title">Broken files</h2>
      <p>Bad input gets an error that says what is wrong, where, and what to do about it. Each of these is loaded whole:</p>
      <ul class="samples">
        {BROKEN.map(({ file, title, about }) => (
          <li key={file}>
            <button type="button" data-broken={file} onClick={() => onUrl(`broken/${file}`)}>
              <span>{title}</span> <small>{about}</small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
