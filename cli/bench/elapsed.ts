import type { Backend } from "../../core/backend.ts";

/** Seconds that work on a backend takes: by its timer if its calls return before they are done. */
export function elapsedSeconds({ timer }: Pick<Backend, "timer">, work: () => void): number {
  if (timer === undefined) {
    const start = performance.now();
    work();
    return (performance.now() - start) / 1000;
  }
  const start = timer.mark();
  work();
  const [first = 0, last = 0] = timer.read([start, timer.mark()]);
  return (last - first) / 1000;
}
