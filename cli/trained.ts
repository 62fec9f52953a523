import { errors } from "../core/errors.ts";
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
export function interrupted({ result }: Trained, command: string, report: Report): ExitCode {
  report.error(errors.interrupted(result.steps, command));
  return 130;
}
