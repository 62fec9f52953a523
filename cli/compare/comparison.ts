import { type PairedDifference, pairedDifference, type Spread, spreadOf } from "./statistics.ts";

/** One finished run of an arm. */
export interface ArmRun {
  readonly seed: number;
  /** The metric after the last step. */
  readonly value: number;
  /** Parameters of the saved adapter. */
  readonly parameters: number;
  /** Wall-clock time, and the peak of its process's memory in bytes. */
  readonly seconds: number;
  readonly memory: number;
}

/** A learning rate that was tried, and what it reached on the rows held out of training. */
export interface TriedRate {
  readonly lr: number;
  /** Mean of its runs; null where one failed. */
  readonly value: number | null;
  /** By seed, of several runs. */
  readonly values?: readonly number[];
}

/** What an arm was and what its runs reached. */
export interface ArmResult {
  readonly name: string;
  readonly about: string;
  readonly lr: number | null;
  /** [] where no rate was picked. */
  readonly tried: readonly TriedRate[];
  readonly startParameters: number;
  /** What its increments are multiplied by: alpha / initial rank. */
  readonly scale: number;
  /** Whether its adapters are cut after training, which its curves do not show. */
  readonly isCut: boolean;
  /** Whether it ends with another number of parameters than the common final rank has. */
  readonly hasOtherSize: boolean;
  /** By seed; failed runs are missing. */
  readonly runs: readonly ArmRun[];
}

/** What was compared. */
export interface ComparisonSubject {
  readonly task: string;
  readonly metric: string;
  readonly isHigherBetter: boolean;
  readonly seeds: readonly number[];
  /** Final rank of every matrix, on average where an arm prunes. */
  readonly rank: number;
  readonly matrices: number;
}

/** One run that failed. */
export interface FailedRun {
  readonly run: string;
  readonly error: string;
}

/** An arm with the statistics of its runs. */
export interface ComparedArm extends ArmResult {
  /** Undefined without runs. */
  readonly spread: Spread | undefined;
  /** From the first arm, over the seeds that both finished; undefined for itself and without. */
  readonly difference: PairedDifference | undefined;
}

/** A comparison; the first arm is the baseline. */
export interface Comparison extends ComparisonSubject {
  readonly arms: readonly ComparedArm[];
  readonly failures: readonly FailedRun[];
}

/** Computes the statistics of arms, paired by seed with the first one. */
export function compareArms(
  subject: ComparisonSubject,
  arms: readonly ArmResult[],
  failures: readonly FailedRun[],
): Comparison {
  const [baseline] = arms;
  return {
    ...subject,
    failures,
    arms: arms.map((arm) => ({
      ...arm,
      spread: arm.runs.length > 0 ? spreadOf(arm.runs.map(({ value }) => value)) : undefined,
      difference:
        baseline === undefined || arm === baseline
          ? undefined
          : differenceOf(arm, baseline, subject.isHigherBetter),
    })),
  };
}

/**
 * A comparison as JSON, the content of compare.json: what depends on settings, data, seeds and the
 * machine's arithmetic, but not on how long anything took.
 */
export function comparisonJson(comparison: Comparison): object {
  const { task, metric, isHigherBetter, seeds, rank, matrices, arms, failures } = comparison;
  return {
    task,
    metric,
    higher_is_better: isHigherBetter,
    seeds,
    rank,
    matrices,
    arms: arms.map(({ name, about, lr, tried, startParameters, runs, spread, difference }) => ({
      name,
      about,
      lr,
      tried,
      parameters: { start: startParameters, end: runs.map(({ parameters }) => parameters) },
      seeds: runs.map(({ seed }) => seed),
      values: runs.map(({ value }) => value),
      ...(spread ?? { mean: null, std: null, median: null }),
      difference: difference ?? null,
    })),
    failures,
  };
}

/** What each arm's runs cost: the content of costs.json. */
export function costsJson({ arms }: Comparison): object {
  return Object.fromEntries(
    arms.map(({ name, runs }) => [
      name,
      { seconds: runs.map(({ seconds }) => seconds), memory: runs.map(({ memory }) => memory) },
    ]),
  );
}

// --- internal ---

function differenceOf(
  { runs }: ArmResult,
  baseline: ArmResult,
  isHigherBetter: boolean,
): PairedDifference | undefined {
  const valueOf = new Map(baseline.runs.map(({ seed, value }) => [seed, value]));
  const pairs = runs.flatMap(({ seed, value }) => {
    const other = valueOf.get(seed);
    return other === undefined ? [] : [[value, other] as const];
  });
  if (pairs.length === 0) return undefined;
  const [own, others] = [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
  return pairedDifference(own, others, isHigherBetter);
}
