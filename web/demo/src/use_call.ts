// A question to the worker for as long as a part of the page is there.
import { useEffect, useState } from 'preact/hooks';
import { failureOf } from './failure.js';
import type { Failure, Step } from './protocol.js';

export interface Asked<T> {
  readonly value?: T | undefined;
  readonly failure?: Failure | undefined;
  readonly step?: Step | undefined;
}

type Question<T> = (signal: AbortSignal, onStep: (step: Step) => void) => Promise<T>;

/** Asks again when one of `inputs` changes, and gives up what was asked before. Null asks nothing. */
export function useCall<T>(question: Question<T> | null, inputs: readonly unknown[]): Asked<T> {
  const [asked, setAsked] = useState<Asked<T>>({});
  useEffect(() => {
    if (!question) return undefined;
    const controller = new AbortController();
    // What was there stays until the answer comes, so that the page does not jump.
    question(controller.signal, (step) => setAsked(({ value }) => ({ value, step }))).then(
      (value) => setAsked({ value }),
      (error: unknown) => {
        if (!controller.signal.aborted) setAsked({ failure: failureOf(error) });
      },
    );
    return () => controller.abort();
  }, inputs);
  return asked;
}
