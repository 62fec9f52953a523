import {
  type DifferenceWithInterval,
  pairedDifference,
  withInterval,
} from "../../../cli/compare/statistics.ts";
import { meanOf } from "../../../core/metrics/mean-and-deviation.ts";
import type { RunLine } from "./collect.ts";

/** A value of runs in which arms differ. */
export interface Compared {
  readonly what: string;
  readonly valueOf: (run: RunLine) => number;
  readonly isHigherBetter: boolean;
}

export const inPoints: Compared = {
  what: "points",
  valueOf: ({ value }) => 100 * value,
  isHigherBetter: true,
};

export const inLoss: Compared = {
  what: "last training loss x 100",
  valueOf: ({ lastLoss }) => 100 * lastLoss,
  isHigherBetter: false,
};

/**
 * How an arm differs from another one in runs of some tasks. A pair is a task and seed, which have
 * the same rows, order and initial head at each average rank: several ranks are averaged first.
 * Undefined for fewer than two pairs.
 */
export function differenceOf(
  [arm, baseline]: readonly [string, string],
  tasks: readonly string[],
  runs: readonly RunLine[],
  { valueOf, isHigherBetter }: Compared = inPoints,
): DifferenceWithInterval | undefined {
  const own = tasks.flatMap((task) => runs.filter((run) => run.arm === arm && run.task === task));
  const both = own.flatMap((run) => {
    const other = runs.find((one) => one.arm === baseline && isPair(one, run));
    return other ? [{ run, other }] : [];
  });
  const pairs = [...Map.groupBy(both, ({ run: { task, seed } }) => `${task} ${seed}`).values()];
  if (pairs.length === 0) return undefined;
  return withInterval(
    pairedDifference(
      pairs.map((pair) => meanOf(pair.map(({ run }) => valueOf(run)))),
      pairs.map((pair) => meanOf(pair.map(({ other }) => valueOf(other)))),
      isHigherBetter,
    ),
  );
}

/** "+0.62 [+0.08, +1.20] 14-0-6": mean, 95 % interval, wins-ties-losses. */
export function differenceText(difference: DifferenceWithInterval): string {
  const { wins, ties, losses } = difference;
  return `${intervalText(difference)} ${wins}-${ties}-${losses}`;
}

/** "+0.62 [+0.08, +1.20]": mean and 95 % interval. */
export function intervalText({ mean, low, high }: DifferenceWithInterval): string {
  return `${signed(mean)} [${signed(low)}, ${signed(high)}]`;
}

// --- internal ---

const isPair = (one: RunLine, { task, rank, seed }: RunLine) =>
  one.task === task && one.rank === rank && one.seed === seed;

function signed(value: number): string {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
}
