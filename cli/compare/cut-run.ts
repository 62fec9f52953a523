import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "../../core/config/run-config.ts";
import { isJsonObject, readJsonObject } from "../../core/io/json-file.ts";
import { writeJson } from "../../core/run/run-files.ts";
import { isFinishedRun } from "../../core/run/run-folder.ts";
import type { StopRequest } from "../signals.ts";
import { CUT_ADAPTER, writeCutAdapter } from "./cut-adapter.ts";
import { CUT_METRICS } from "./read-runs.ts";
import type { JobContext } from "./run-jobs.ts";
import { isStopCode, startProgram } from "./start-program.ts";

/** What cutting a run needs of the command. */
export interface CutContext extends Pick<JobContext, "threads"> {
  readonly stop: Pick<StopRequest, "isRequested">;
}

/**
 * Cuts the LoRA of a finished run to `budget` parameters and evaluates what is left on the run's
 * evaluation rows. Does nothing where that is done, or the run is unfinished.
 */
export async function cutRun(
  run: string,
  config: RunConfig,
  budget: number,
  { stop, threads }: CutContext,
): Promise<void> {
  const path = join(run, CUT_METRICS);
  if (!isFinishedRun(run)) return;
  if (existsSync(path) && readJsonObject(path)["budget"] === budget) return;
  const started = performance.now();
  writeCutAdapter(run, budget);
  const words = evaluationWords(join(run, CUT_ADAPTER), config, threads);
  const ended = await startProgram(words, stop, {});
  if (stop.isRequested && isStopCode(ended.code)) return;
  if (ended.code !== 0) throw ended.error;
  const { metrics } = JSON.parse(ended.stdout);
  const seconds = Math.round((performance.now() - started) / 10) / 100;
  writeJson(path, { budget, metrics: isJsonObject(metrics) ? metrics : {}, seconds });
}

/** The command line that evaluates an adapter as its run did. */
export function evaluationWords(
  adapter: string,
  { device, dtype, evalBatchSize, tf32, limit, evalLimit, evalFraction }: RunConfig,
  threads: number,
): readonly string[] {
  // Rows of --eval-fraction are chosen after --limit.
  const limits = [evalFraction === null ? limit : null, evalLimit].filter((one) => one !== null);
  const flags = {
    adapter,
    device,
    dtype,
    threads,
    "batch-size": evalBatchSize,
    ...(limits.length > 0 ? { limit: Math.min(...limits) } : {}),
  };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return ["eval", "--json", ...(tf32 ? ["--tf32"] : []), ...words];
}
