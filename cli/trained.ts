import type { RunResult } from "../core/train/execute.ts";
import type { PreparedRun } from "../core/train/prepare.ts";
import type { ExitCode, Report } from "./report.ts";

/** A finished run, or one that was interrupted. */
export interface Trained {
  readonly prepared: PreparedRun;
  readonly result: RunResult;
  readonly out: string;
}

/** Says how an interrupted run goes on. */
export function interrupted(
  { result, out }: Pick<Trained, "result" | "out">,
  report: Report,
): ExitCode {
  report.warn(`interrupted after step ${result.steps}; --resume --out ${out} goes on from there`);
  return 130;
}
