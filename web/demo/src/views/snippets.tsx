// How to have this in a program of one's own.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import html from '../../snippets/page.html?raw';
import htmlScript from '../../snippets/page.js?raw';
import node from '../../snippets/node.mjs?raw';
import vite from '../../snippets/vite.js?raw';

const SNIPPETS = [
  { title: 'Vite, or another bundler', steps: 'npm install ballast-loader', files: [['main.js', vite]] },
  { title: 'Plain HTML', steps: 'Serve node_modules/ballast-loader/dist/ as ballast-loader/ beside the page.', files: [['index.html', html], ['page.js', htmlScript]] },
  { title: 'Node', steps: 'npm install ballast-loader', files: [['look.mjs', node]] },
] as const;

export function Snippets(): VNode {
  return (
    <section class="card snippets" aria-labelledby="snippets-title">
      <h2 id="snippets-title">In your own program</h2>
      <div class="columns code-columns">
        {SNIPPETS.map(({ title, steps, files }) => (
          <article key={title}>
            <h3>{title}</h3>
            <p><code>{steps}</code></p>
            {files.map(([name, text]) => <Code key={name} name={name} text={text} />)}
          </article>
        ))}
      </div>
    </section>
  );
}

function Code({ name, text }: { readonly name: string; readonly text: string }): VNode {
  const [said, say] = useState('Copy');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      say('Copied');
    } catch {
      say('Select the text to copy it');
    }
  };
  return (
    <figure class="code">
      <figcaption><code>{name}</code> <button type="button" aria-label={`Copy ${name}`} onClick={() => void copy()}>{said}</button></figcaption>
      <pre tabIndex={0} aria-label={name}>{text}</pre>
    </figure>
  );
}
