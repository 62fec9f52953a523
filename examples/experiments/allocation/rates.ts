import { meanOf } from "../../../core/metrics/mean-and-deviation.ts";
import type { RunLine } from "./collect.ts";

/** LoRA of the arms' initial rank, which trains as many parameters as they do. */
export const INITIAL = "lora:rank=initial";

/** The rank at which the arms that prune train, by the average rank at which they end. */
export const initialRankOf = (rank: number) => (rank === 4 ? 8 : 4);

/**
 * The runs of an average rank and those of LoRA at its arms' initial rank, named apart. Runs at
 * another rate than the one that was picked for their arm have it in their name.
 */
export function finalsOf(rank: number, runs: readonly RunLine[]): RunLine[] {
  const initial = initialRankOf(rank);
  return runs
    .filter((run) => !run.isTuning && (run.rank === rank || isLoraOf(initial, run)))
    .map((run) => {
      const picked = pickedRate(run, runs) ?? run.lr;
      const arm = run.rank === rank ? run.arm : INITIAL;
      return { ...run, rank, arm: picked === run.lr ? arm : `${arm}:lr=${run.lr}` };
    });
}

/**
 * The learning rate that was picked for the arm of a run: the best on held-out rows, in the mean of
 * the seeds that tried it. It is picked by the arm's own tuning runs, or by those of the arm that it
 * follows (or which that one follows), at its rank or else the next higher one with any. Undefined
 * without tuning runs.
 */
export function pickedRate({ task, rank, arm }: RunLine, runs: readonly RunLine[]) {
  const tuning = runs.filter((run) => run.isTuning && run.task === task);
  const bestOf = (name: string, at: number) => {
    const own = tuning.filter((run) => run.arm === name && run.rank === at);
    const byRate = [...Map.groupBy(own, ({ lr }) => lr)].map(([lr, those]) => {
      return { lr, mean: meanOf(those.map(({ value }) => value)) };
    });
    return byRate.toSorted((one, other) => other.mean - one.mean)[0]?.lr;
  };
  // A LoRA that is cut afterwards trains uncut, and takes the rate of the LoRA of rank 4.
  if (arm === "lora-cut") return bestOf(arm, rank) ?? bestOf("lora", 4);
  for (const at of ranksFrom(rank)) {
    for (let name: string | undefined = arm; name !== undefined; name = leaders[name]) {
      const rate = bestOf(name, at);
      if (rate !== undefined) return rate;
    }
  }
  return undefined;
}

/** The runs among finals whose arm has none at its picked rate for that task and rank. */
export function onlyAtOtherRates(finals: readonly RunLine[]): RunLine[] {
  const placeOf = ({ task, rank }: RunLine, arm: string) => `${task} ${rank} ${arm}`;
  const known = new Set(finals.map((run) => placeOf(run, run.arm)));
  return finals.filter((run) => {
    const suffix = `:lr=${run.lr}`;
    return run.arm.endsWith(suffix) && !known.has(placeOf(run, run.arm.slice(0, -suffix.length)));
  });
}

// --- internal ---

/** Arms that take the rate of another one where they were not tuned themselves. */
const leaders: Readonly<Record<string, string>> = {
  "uniform:start=lora": "adalora:start=lora",
  "random:start=lora": "adalora:start=lora",
  "svd-lora:start=lora": "adalora:start=lora",
  "adalora:lr-e=0.02": "adalora",
  "uniform:lr-e=0.02": "adalora:lr-e=0.02",
  "random:lr-e=0.02": "adalora:lr-e=0.02",
  "elastic:lr-e=0.02": "adalora:lr-e=0.02",
  uniform: "adalora",
  random: "adalora",
};

const isLoraOf = (rank: number, { rank: own, arm }: RunLine) => own === rank && arm === "lora";

/** A rank and the higher ones that were tuned. LoRA of rank 8 has the rate of rank 4. */
const ranksFrom = (rank: number) => (rank > 4 ? [rank, 4] : [1, 2, 4].filter((at) => at >= rank));
