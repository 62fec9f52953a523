import type { BatchProgress } from "./progress.ts";
import type { Report } from "./report.ts";

/** Elsewhere than on a terminal, a line this often. */
const LINE_SECONDS = 30;

type Batches = Omit<BatchProgress, "verb" | "secondsLeft">;

/** Reports the batches of one evaluation or prediction after the other, and how long each takes. */
export interface BatchReport {
  /** Reports a batch; `done` 0 of the first split begins a new evaluation. */
  batch(state: Batches): void;
  /** Ends the evaluation and returns its seconds. */
  end(): number;
}

/** Creates a report whose first estimates come from the evaluation before, if there was one. */
export function createBatchReport(
  verb: BatchProgress["verb"],
  report: Pick<Report, "batches">,
  now: () => number = () => performance.now() / 1000,
): BatchReport {
  let began: number | undefined;
  let lastLine = 0;
  let before: number | undefined;
  return {
    batch(state) {
      began ??= lastLine = now();
      const elapsed = now() - began;
      const measured = state.share > 0 ? (elapsed * (1 - state.share)) / state.share : undefined;
      const isLineTime = now() - lastLine >= LINE_SECONDS;
      if (isLineTime) lastLine = now();
      report.batches({ verb, ...state, secondsLeft: measured ?? before }, isLineTime);
    },
    end() {
      before = began === undefined ? 0 : now() - began;
      began = undefined;
      return before;
    },
  };
}
