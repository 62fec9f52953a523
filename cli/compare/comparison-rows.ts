import { byteSize } from "../byte-size.ts";
import { duration } from "../progress.ts";
import type { ComparedArm, Comparison } from "./comparison.ts";

/** Columns of the table of scores, after the arm's name. */
export const scoreColumns = ["mean ± std", "median", "difference", "wins-ties-losses"];
/** Columns of the table of costs, after the arm's name. */
export const costColumns = ["parameters: start", "end", "time a run", "memory"];

/** "rte: accuracy over 5 seeds" */
export function comparisonTitle({ task, metric, seeds, isHigherBetter }: Comparison): string {
  const over = seeds.length === 1 ? `seed ${seeds[0]}` : `${seeds.length} seeds`;
  return `${task}: ${metric} over ${over}${isHigherBetter ? "" : ", lower is better"}`;
}

/** What makes the arms equal. */
export const sizeText = ({ rank, matrices }: Comparison): string =>
  `final rank ${rank} in each of ${matrices} matrices, or as many parameters`;

/** What the difference in a comparison is; undefined where there is none. */
export function differenceText({ arms }: Comparison): string | undefined {
  const [first, ...others] = arms;
  if (!first || others.length === 0) return undefined;
  return `difference: mean over seeds from ${first.name}, with its 95% interval`;
}

/** An arm's cells in the table of scores. */
export function scoreCells({ spread, difference }: ComparedArm): readonly string[] {
  if (!spread) return ["-", "-", "-", "-"];
  const { mean, std, median } = spread;
  return [
    `${four(mean)} ± ${four(std)}`,
    four(median),
    difference
      ? `${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]`
      : "-",
    difference ? `${difference.wins}-${difference.ties}-${difference.losses}` : "-",
  ];
}

/** An arm's cells in the table of costs. */
export function costCells({ startParameters, runs }: ComparedArm): readonly string[] {
  if (runs.length === 0) return [count(startParameters), "-", "-", "-"];
  return [
    count(startParameters),
    count(mean(runs.map(({ parameters }) => parameters))),
    duration(mean(runs.map(({ seconds }) => seconds))),
    byteSize(Math.max(...runs.map(({ memory }) => memory))),
  ];
}

/**
 * The rates that were tried for an arm on the rows held out, the picked one first; or undefined.
 */
export function ratesText({ lr, tried }: ComparedArm): string | undefined {
  if (tried.length === 0) return undefined;
  const all = tried.map((one) => `${one.lr} ${one.value === null ? "failed" : four(one.value)}`);
  return `${lr ?? "none"} of ${all.join(", ")}`;
}

// --- internal ---

const four = (value: number) => value.toFixed(4);
const signed = (value: number) => (value < 0 ? "" : "+") + four(value);
const count = (n: number) => Math.round(n).toLocaleString("en-US");
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
