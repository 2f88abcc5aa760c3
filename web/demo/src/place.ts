// Places and sizes of elements.

/** Where a pointer is in an element, from 0 to 1 of its width and of its height. */
export function pointIn(element: Element, { clientX, clientY }: MouseEvent): readonly [x: number, y: number] {
  const { left, top, width, height } = element.getBoundingClientRect();
  const part = (at: number, size: number): number => (size === 0 ? 0 : Math.max(0, Math.min(at / size, 1 - 1e-9)));
  return [part(clientX - left, width), part(clientY - top, height)];
}

/** Tells the width of an element whenever it is another one. Answers what ends that. */
export function watchWidth(element: Element, tell: (width: number) => void): () => void {
  let last = 0;
  // In the next frame: to change sizes while they are looked at is an error.
  const watch = new ResizeObserver(() => requestAnimationFrame(() => {
    const { clientWidth } = element;
    if (clientWidth === last || clientWidth === 0) return;
    last = clientWidth;
    tell(clientWidth);
  }));
  watch.observe(element);
  return () => watch.disconnect();
}
