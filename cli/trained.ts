import type { RunResult } from "../core/run/results.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import { cliErrors } from "./cli-errors.ts";
import type { RunCost } from "./predicted-text.ts";
import type { ExitCode, Report } from "./report.ts";

/** A finished run, or one that was interrupted. */
export interface TrainedRun {
  readonly prepared: PreparedRun;
  readonly result: RunResult;
  readonly out: string;
  /**
   * The exit code of the signal that requested a stop; undefined without one. The signal may have
   * arrived too late to interrupt this run.
   */
  readonly stopCode: ExitCode | undefined;
  /** What the run was expected to need; undefined for a run that had finished before. */
  readonly predicted?: RunCost;
}

/** Thrown where a run is stopped before its first step: it has written nothing to continue from. */
export class StoppedAtStart extends Error {
  override readonly name = "StoppedAtStart";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode) {
    super("stopped before the first step");
    this.exitCode = exitCode;
  }
}

/** Reports an interrupted run and the command that resumes it. */
export function interrupted(
  { result, stopCode }: TrainedRun,
  command: string,
  report: Report,
): ExitCode {
  report.error(cliErrors.interrupted(result.steps, command));
  return stopCode ?? 130;
}
