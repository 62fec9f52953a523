import { aligned } from "../aligned.ts";
import { byteSize } from "../byte-size.ts";
import { printable } from "../printable.ts";
import { duration } from "../progress.ts";
import { type Output, paint } from "../terminal.ts";
import type { ComparedArm, Comparison } from "./comparison.ts";

/** A comparison as a page: scores, differences from the first arm, sizes and costs, failures. */
export function comparisonText(comparison: Comparison, out: string, output: Output): string {
  const { task, metric, seeds, rank, matrices, arms, failures, isHigherBetter } = comparison;
  const over = seeds.length === 1 ? `seed ${seeds[0]}` : `${seeds.length} seeds`;
  const better = isHigherBetter ? "" : ", lower is better";
  const [header = "", ...rows] = aligned([scoreHeader, ...arms.map(scoreCells)]);
  const [costHeader = "", ...costs] = aligned([costTitles, ...arms.map(costCells)]);
  const first = printable(arms[0]?.name ?? "");
  return [
    paint(output, "bold", `${task}: ${metric} over ${over}${better}`),
    `final rank ${rank} in each of ${matrices} matrices, or as many parameters`,
    [paint(output, "dim", header), ...rows].join("\n"),
    ...(arms.length > 1
      ? [`difference: mean over seeds from ${first}, with its 95% interval`]
      : []),
    [paint(output, "dim", costHeader), ...costs].join("\n"),
    ...rateBlocks(arms),
    ...(failures.length > 0
      ? [failures.map(({ run, error }) => printable(`failed: ${run}: ${error}`)).join("\n")]
      : []),
    `files in ${printable(out)}`,
  ].join("\n\n");
}

// --- internal ---

const scoreHeader = ["method", "mean ± std", "median", "difference", "wins-ties-losses"];
const costTitles = ["method", "parameters: start", "end", "time a run", "memory"];

const four = (value: number) => value.toFixed(4);
const signed = (value: number) => (value < 0 ? "" : "+") + four(value);
const count = (n: number) => Math.round(n).toLocaleString("en-US");
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

function scoreCells({ name, spread, difference }: ComparedArm): string[] {
  if (!spread) return [printable(name), "-", "-", "-", "-"];
  const { mean: center, std, median } = spread;
  return [
    printable(name),
    `${four(center)} ± ${four(std)}`,
    four(median),
    difference
      ? `${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]`
      : "-",
    difference ? `${difference.wins}-${difference.ties}-${difference.losses}` : "-",
  ];
}

function costCells({ name, startParameters, runs }: ComparedArm): string[] {
  if (runs.length === 0) return [printable(name), count(startParameters), "-", "-", "-"];
  return [
    printable(name),
    count(startParameters),
    count(mean(runs.map(({ parameters }) => parameters))),
    duration(mean(runs.map(({ seconds }) => seconds))),
    byteSize(Math.max(...runs.map(({ memory }) => memory))),
  ];
}

/** The rates that were tried on the rows held out of training, the picked one first. */
function rateBlocks(arms: readonly ComparedArm[]): string[] {
  const lines = arms
    .filter(({ tried }) => tried.length > 0)
    .map(({ name, lr, tried }) => {
      const all = tried.map(
        (one) => `${one.lr} ${one.value === null ? "failed" : four(one.value)}`,
      );
      return `${printable(name)}: ${lr ?? "none"} of ${all.join(", ")}`;
    });
  if (lines.length === 0) return [];
  return [["learning rates, by rows held out of training", ...lines].join("\n")];
}
