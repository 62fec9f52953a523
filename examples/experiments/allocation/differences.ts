import { type PairedDifference, pairedDifference } from "../../../cli/compare/statistics.ts";
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
 * How an arm differs from another one in runs of some tasks, paired by task, average rank and seed:
 * every pair counts once. Undefined for fewer than two pairs.
 */
export function differenceOf(
  [arm, baseline]: readonly [string, string],
  tasks: readonly string[],
  runs: readonly RunLine[],
  { valueOf, isHigherBetter }: Compared = inPoints,
): PairedDifference | undefined {
  const own = tasks.flatMap((task) => runs.filter((run) => run.arm === arm && run.task === task));
  const pairs = own.flatMap((run) => {
    const other = runs.find((one) => one.arm === baseline && isPair(one, run));
    return other ? [[valueOf(run), valueOf(other)] as const] : [];
  });
  if (pairs.length < 2) return undefined;
  return pairedDifference(
    pairs.map(([value]) => value),
    pairs.map(([, other]) => other),
    isHigherBetter,
  );
}

/** "+0.62 [+0.08, +1.20] 14-0-6": mean, 95 % interval, wins-ties-losses. */
export function differenceText(difference: PairedDifference): string {
  const { wins, ties, losses } = difference;
  return `${intervalText(difference)} ${wins}-${ties}-${losses}`;
}

/** "+0.62 [+0.08, +1.20]": mean and 95 % interval. */
export function intervalText({ mean, low, high }: PairedDifference): string {
  return `${signed(mean)} [${signed(low)}, ${signed(high)}]`;
}

// --- internal ---

const isPair = (one: RunLine, { task, rank, seed }: RunLine) =>
  one.task === task && one.rank === rank && one.seed === seed;

function signed(value: number): string {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
}
