import type { RunObserver } from "../core/run/execute.ts";

/**
 * Wraps a run's observer so that the run stops, with a checkpoint, after its evaluation at step
 * `after`, or the first one later if it is resumed there or beyond; null: never.
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
