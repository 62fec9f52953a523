import { relative } from "node:path";
import { nameInLayer } from "../core/model/select-linears.ts";
import { metricLine, metricLines } from "./metrics-text.ts";
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
  const rows = [...metricLines(result.metrics, result.majority, result.intervals), ...comparisons];
  if (result.best) rows.push(metricLine("best step", String(result.best.step)));
  const ranks = ranksOf(trained);
  const steps = `${result.steps} steps in ${duration(result.seconds)}`;
  const early = result.stoppedBy === "early stopping" ? ", stopped early" : "";
  const blocks = [
    paint(output, "bold", `${config.task}: ${config.method}, ${steps}${early}`),
    ...(rows.length > 0 ? [rows.join("\n")] : []),
    ...(ranks.length > 0 ? [rankTable(ranks, output)] : []),
    `files in ${printable(relative(process.cwd(), out) || ".")}`,
  ];
  return blocks.join("\n\n");
}

/** A finished run as JSON. */
export function runJson(trained: TrainedRun): object {
  const { prepared, result, out } = trained;
  return {
    task: prepared.config.task,
    method: prepared.config.method,
    out,
    steps: result.steps,
    stopped_by: result.stoppedBy,
    metrics: result.metrics,
    ...(result.intervals && { intervals: result.intervals }),
    majority_baseline: result.majority ?? null,
    best: result.best,
    ranks: result.ranks,
    seconds: result.seconds,
  };
}

function ranksOf({ prepared, result }: TrainedRun): MatrixRank[] {
  const { target, declared } = prepared;
  if (!target) return [];
  return Object.entries(result.ranks).map(([name, rank]) => {
    const path = name.replace(/\.lora_E$/, "");
    return { path, module: nameInLayer(path, declared.plugin), rank, initialRank: target.initRank };
  });
}
