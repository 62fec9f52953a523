import type { RunObserver } from "../core/run/execute.ts";

/**
 * Wraps a run's observer so that the run stops, with a checkpoint, after its first evaluation from
 * step `after` on; null: never. Evaluations before a resume don't count.
 */
export function pausing(observer: RunObserver, after: number | null): RunObserver {
  if (after === null) return observer;
  let evaluated = 0;
  return {
    ...observer,
    onEvaluation(step, evaluations, isBest) {
      observer.onEvaluation(step, evaluations, isBest);
      evaluated = step;
    },
    stopRequested: () => evaluated >= after || observer.stopRequested(),
  };
}
