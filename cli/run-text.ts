import { relative } from "node:path";
import { nameInLayer } from "../core/model/select-linears.ts";
import { resultJson, type RunResult } from "../core/run/results.ts";
import { classTable } from "./class-table.ts";
import { baselineLines, metricLine, metricLines } from "./metrics-text.ts";
import { compareCosts, comparisonLines, type CostComparison } from "./predicted-text.ts";
import { printable } from "./printable.ts";
import { duration } from "./progress.ts";
import { type MatrixRank, rankTable } from "./rank-table.ts";
import { type Output, paint } from "./terminal.ts";
import type { TrainedRun } from "./trained.ts";

/** Formats a finished run: metrics beside the baseline, the rank table, the folder. */
export function runText(
  trained: TrainedRun,
  output: Output,
  comparisons: readonly string[] = [],
): string {
  const { prepared, result, out } = trained;
  const { config } = prepared;
  const costs = costsOf(trained);
  const rows = [
    ...metricLines(result.metrics, result.baseline?.["accuracy"], result.intervals),
    ...baselineLines(result.baseline, result.majority !== undefined),
    ...comparisons,
    ...bestLines(result),
    ...(costs ? comparisonLines(costs) : []),
  ];
  const ranks = ranksOf(trained);
  const classes = classTable(result.classes, output);
  const steps = `${result.steps} steps in ${duration(result.seconds)}`;
  const early = result.stoppedBy === "early stopping" ? ", stopped early" : "";
  const blocks = [
    paint(output, "bold", `${config.task}: ${config.method}, ${steps}${early}`),
    ...(rows.length > 0 ? [rows.join("\n")] : []),
    ...(classes === undefined ? [] : [classes]),
    ...(ranks.length > 0 ? [rankTable(ranks, output)] : []),
    `files in ${printable(relative(process.cwd(), out) || ".")}`,
  ];
  return blocks.join("\n\n");
}

/** The step of the best evaluation and, if it is not the last one, its metrics. */
function bestLines({ best, steps }: RunResult): string[] {
  if (best === null) return [];
  const step = metricLine("best step", String(best.step));
  if (best.step === steps) return [step];
  const metrics = Object.fromEntries(
    Object.entries(best.metrics).map(([split, values]) => [`best ${split}`, values]),
  );
  const hint = metricLine("weights for eval and predict", "last; --which best takes the best");
  return [step, ...metricLines(metrics, undefined), hint];
}

/** A finished run as JSON. */
export function runJson(trained: TrainedRun): object {
  const { prepared, result, out } = trained;
  const costs = costsOf(trained);
  return {
    task: prepared.config.task,
    method: prepared.config.method,
    out,
    ...resultJson(result),
    ranks: result.ranks,
    ...(costs && { costs }),
  };
}

function costsOf({ predicted, result }: TrainedRun): CostComparison | undefined {
  const memory = result.peakMemory.process;
  if (predicted === undefined || memory === undefined) return undefined;
  return compareCosts(predicted, { memory, seconds: result.seconds });
}

function ranksOf({ prepared, result }: TrainedRun): MatrixRank[] {
  const { target, declared } = prepared;
  if (!target) return [];
  return Object.entries(result.ranks).map(([name, rank]) => {
    const path = name.replace(/\.lora_E$/, "");
    return { path, module: nameInLayer(path, declared.plugin), rank, initialRank: target.initRank };
  });
}
