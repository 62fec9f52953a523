import { meanOf } from "../../core/metrics/mean-and-deviation.ts";
import { byteSize } from "../byte-size.ts";
import { duration } from "../progress.ts";
import type { ComparedArm, Comparison } from "./comparison.ts";
import { type PairedDifference, withInterval } from "./statistics.ts";

/** Columns of the table of scores, after the arm's name. */
export const scoreColumns = ["mean ± std", "median", "difference", "wins-ties-losses"];
/** Columns of the table of costs, after the arm's name. */
export const costColumns = ["scale", "parameters: start", "end", "time a run", "memory"];

/** "rte: accuracy over 5 seeds" */
export function comparisonTitle({ task, metric, seeds, isHigherBetter }: Comparison): string {
  const over = seeds.length === 1 ? `of seed ${seeds[0]}` : `over ${seeds.length} seeds`;
  return `${task}: ${metric} ${over}${isHigherBetter ? "" : ", lower is better"}`;
}

/** What makes the arms equal, and which are not. */
export function sizeText({ rank, matrices, arms }: Comparison): string {
  const others = arms.filter(({ hasOtherSize }) => hasOtherSize).map(({ name }) => name);
  const rule = `final rank ${rank} in each of ${matrices} matrices, or as many parameters`;
  return others.length === 0 ? rule : `${rule}, except in ${others.join(" and ")}`;
}

/** What the difference in a comparison is; undefined where there is none. */
export function differenceText({ arms, isHigherBetter }: Comparison): string | undefined {
  const [first, ...others] = arms;
  if (!first || others.length === 0) return undefined;
  if (!others.some(({ difference }) => difference && withInterval(difference))) {
    return `difference: from ${first.name} with the same seed; a single seed has no interval`;
  }
  return [
    `difference: mean over the seeds of both, minus ${first.name} with the same seed, with its 95% interval`,
    "(bootstrap; Student's t below five seeds), not corrected for the number of arms;",
    `wins: seeds with a ${isHigherBetter ? "higher" : "lower"} value than ${first.name}`,
  ].join("\n");
}

/** An arm's cells in the table of scores. */
export function scoreCells(
  { spread, difference, runs }: ComparedArm,
  { seeds }: Pick<Comparison, "seeds">,
): readonly string[] {
  if (!spread) return ["-", "-", "-", "-"];
  const { mean, std, median } = spread;
  const some = runs.length < seeds.length ? ` (${runs.length} of ${seeds.length} seeds)` : "";
  return [
    `${four(mean)}${std === null ? "" : ` ± ${four(std)}`}${some}`,
    four(median),
    difference ? signedInterval(difference) : "-",
    difference ? `${difference.wins}-${difference.ties}-${difference.losses}` : "-",
  ];
}

/** An arm's cells in the table of costs. */
export function costCells({ scale, startParameters, runs }: ComparedArm): readonly string[] {
  const planned = [String(Number(scale.toPrecision(3))), count(startParameters)];
  if (runs.length === 0) return [...planned, "-", "-", "-"];
  return [
    ...planned,
    count(meanOf(runs.map(({ parameters }) => parameters))),
    duration(meanOf(runs.map(({ seconds }) => seconds))),
    byteSize(Math.max(...runs.map(({ memory }) => memory))),
  ];
}

/** The picked rate and all that were tried on the rows held out; undefined where none was tried. */
export function ratesText({ lr, tried }: ComparedArm): string | undefined {
  if (tried.length === 0) return undefined;
  const all = tried.map((one) => `${one.lr}: ${one.value === null ? "failed" : four(one.value)}`);
  return `${lr ?? "none"} (tried ${all.join(", ")})`;
}

/** What rates are picked by: "picked by accuracy on rows held out of training". */
export function ratesRule({ metric, arms }: Comparison): string {
  const seeds = Math.max(
    ...arms.flatMap(({ tried }) => tried.map(({ values }) => values?.length ?? 1)),
  );
  const mean = seeds > 1 ? `the mean ${metric} of ${seeds} seeds` : metric;
  return `picked by ${mean} on rows held out of training`;
}

// --- internal ---

const four = (value: number) => value.toFixed(4);
const signed = (value: number) => (value < 0 ? "" : "+") + four(value);
function signedInterval(difference: PairedDifference): string {
  const known = withInterval(difference);
  const text = signed(difference.mean);
  return known ? `${text} [${signed(known.low)}, ${signed(known.high)}]` : text;
}
const count = (n: number) => Math.round(n).toLocaleString("en-US");
