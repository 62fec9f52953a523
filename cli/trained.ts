import { errors } from "../core/errors.ts";
import type { RunResult } from "../core/run/execute.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import type { ExitCode, Report } from "./report.ts";

/** A finished run, or one that was interrupted. */
export interface TrainedRun {
  readonly prepared: PreparedRun;
  readonly result: RunResult;
  readonly out: string;
}

/**
 * The command that resumes several runs in one folder, which does not hold all of their settings.
 */
export const sameCommand = (out: string) => `the same command with --resume --out ${out}`;

/** Reports an interrupted run and the command that resumes it. */
export function interrupted({ result }: TrainedRun, command: string, report: Report): ExitCode {
  report.error(errors.interrupted(result.steps, command));
  return 130;
}
