// An error as the package tells it: its class, its code, its message, and what is known.
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { printable } from '../format.js';
import type { Failure } from '../protocol.js';

export function ErrorCard({ title, failure, heading = 2 }: { readonly title: string; readonly failure: Failure; readonly heading?: 2 | 4 }): VNode {
  const { name, code, message, facts } = failure;
  const Heading = `h${heading}` as const;
  const place = useRef<HTMLHeadingElement>(null);
  // One that stands for a model is where reading goes on, and comes into sight; others are told of.
  useEffect(() => {
    if (heading === 2) place.current?.focus();
  }, []);
  return (
    <div class="card error" {...(heading === 2 ? {} : { role: 'alert' })}>
      <Heading tabIndex={-1} ref={place}><bdi>{printable(title)}</bdi>: {name}</Heading>
      <p class="message">{printable(message)}</p>
      <dl class="facts">
        {code && <div><dt>code</dt><dd><code>{code}</code></dd></div>}
        {facts.map(([fact, value]) => <div key={fact}><dt>{fact}</dt><dd><bdi>{printable(value)}</bdi></dd></div>)}
      </dl>
    </div>
  );
}
