import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunObserver } from "../../core/run/execute.ts";
import { runFiles } from "../../core/run/run-folder.ts";
import { attemptWrite } from "../attempt-write.ts";
import { readRun, runFolders } from "./read-run.ts";
import { writeReport } from "./write-report.ts";

/**
 * What reports during a run may take: a share of its time, and some seconds more, so that short
 * runs have theirs. A log of 200,000 steps takes 0.4 s to read and draw.
 */
const [SHARE, SPARE_SECONDS] = [0.01, 0.5];

/** Keeps report.html up to date in a run's folder, or in that of several seeds. */
export interface KeptReport {
  /**
   * Writes it after every `every`-th evaluation, or a later one where that would take more than one
   * percent of the run's time.
   */
  evaluated(): void;
  /** Writes it at the end of the run, or where it was interrupted. */
  ended(): void;
}

/**
 * Creates the keeper of a run's report; `every` 0 writes none. A report that cannot be written
 * never hurts the run: `warn` gets one message.
 */
export function keepReport(
  out: string,
  every: number,
  warn: (text: string) => void,
  write: (out: string) => void = writeOwn,
  now: () => number = () => performance.now() / 1000,
): KeptReport {
  const began = now();
  let [spent, last] = [0, 0];
  let evaluations = 0;
  let [hasFailed, isDue] = [false, false];
  const attempt = () => {
    const started = now();
    const warnOnce = (text: string) => {
      if (!hasFailed) warn(text);
      hasFailed = true;
    };
    attemptWrite("the report", () => write(out), warnOnce);
    last = now() - started;
    spent += last;
  };
  const isAffordable = () => spent + last <= SPARE_SECONDS + SHARE * (now() - began);
  return {
    evaluated() {
      evaluations++;
      isDue ||= every > 0 && evaluations % every === 0;
      if (!isDue || !isAffordable()) return;
      attempt();
      isDue = false;
    },
    ended() {
      if (every > 0) attempt();
    },
  };
}

/** The run's observer, which also keeps its report up to date. */
export const reporting = (observer: RunObserver, page: KeptReport): RunObserver => ({
  ...observer,
  onEvaluation(step, evaluations, isBest) {
    observer.onEvaluation(step, evaluations, isBest);
    page.evaluated();
  },
});

// --- internal ---

/** A folder that has been moved or deleted is not made again. */
function writeOwn(out: string): void {
  if (existsSync(out)) writeReport(runFolders(out).map(readRun), join(out, runFiles.report));
}
