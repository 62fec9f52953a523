import type { Backend } from "../backend.ts";
import type { Model } from "../model/plugin.ts";
import type { StopRequested } from "../stopped.ts";
import { type Evaluation, metricsOf, type PredictionSet } from "../tasks/task.ts";
import type { Progress } from "./progress.ts";

/** How far an evaluation is. */
export interface EvaluationProgress {
  readonly split: string;
  /** Features evaluated, of `total`. */
  readonly done: number;
  readonly total: number;
  /** Tokens evaluated in all splits, as a share of all: long features come first. */
  readonly share: number;
}

/** What an evaluation runs on, and whom it reports to. */
export interface EvaluationSetup {
  readonly backend: Backend;
  readonly model: Model;
  readonly validation: readonly PredictionSet[];
  readonly batchSize: number;
  readonly onProgress: (progress: EvaluationProgress) => void;
  readonly stopRequested: StopRequested;
}

/** Evaluates every validation split. Throws `Stopped` if a stop is requested in between. */
export async function evaluateAll(setup: EvaluationSetup): Promise<readonly Evaluation[]> {
  const { backend, model, validation, batchSize, stopRequested } = setup;
  const progressOf = progressOfSplits(validation);
  const evaluations: Evaluation[] = [];
  for (const dataset of validation) {
    const onBatch = (done: number) => setup.onProgress(progressOf(dataset, done));
    onBatch(0);
    const options = { batchSize, onBatch, stopRequested };
    const predictions = await dataset.predict(backend, model, options);
    evaluations.push(predictions.evaluate());
  }
  return evaluations;
}

/** Returns a function from a split and its features done, in ascending order, to the progress. */
export function progressOfSplits(
  splits: readonly Split[],
): (split: Split, done: number) => EvaluationProgress {
  const total = tokensIn(splits);
  const starts = splits.map((_, i) => tokensIn(splits.slice(0, i)));
  const longestFirst = splits.map(({ lengths }) => lengths.toSorted().toReversed());
  const sums = splits.map(() => ({ counted: 0, tokens: 0 }));
  return (split, done) => {
    const i = splits.indexOf(split);
    const sum = sums[i] ?? { counted: 0, tokens: 0 };
    for (; sum.counted < done; sum.counted++) sum.tokens += longestFirst[i]?.[sum.counted] ?? 0;
    const share = ((starts[i] ?? 0) + sum.tokens) / total;
    return { split: split.name, done, total: split.lengths.length, share };
  };
}

type Split = Pick<PredictionSet, "name" | "lengths">;

/** Tokens of some splits. */
export const tokensIn = (splits: readonly Pick<PredictionSet, "lengths">[]): number =>
  splits.reduce((sum, { lengths }) => sum + lengths.reduce((a, b) => a + b, 0), 0);

/** Metrics of evaluations, by split. */
export function metricsBySplit(
  evaluations: readonly Evaluation[],
): Record<string, Record<string, number>> {
  return Object.fromEntries(
    evaluations.map((evaluation) => [evaluation.split, metricsOf(evaluation)]),
  );
}

/** What is known of a run's evaluations. */
export type Selection = Pick<
  Progress,
  "evaluations" | "evaluatedStep" | "best" | "bestCounted" | "evaluationsSinceBest"
>;

/** A run without an evaluation yet. */
export const noSelection: Selection = {
  evaluations: 0,
  evaluatedStep: 0,
  best: null,
  bestCounted: null,
  evaluationsSinceBest: 0,
};

/** How evaluations are compared. */
export interface SelectionRule {
  /** Highest wins, except for "loss". */
  readonly metric: string;
  /** Early stopping counts evaluations after this many steps or more. */
  readonly earlyStoppingFrom: number;
}

/** Adds the evaluations after `step` steps; the first split selects the best step. */
export function select(
  before: Selection,
  step: number,
  evaluations: readonly Evaluation[],
  { metric, earlyStoppingFrom }: SelectionRule,
): Selection & { readonly isBest: boolean } {
  const [first] = evaluations;
  if (!first) return { ...before, evaluatedStep: step, isBest: false };
  const counted = { ...before, evaluations: before.evaluations + 1, evaluatedStep: step };
  const found = metricsOf(first)[metric] ?? Number.NaN;
  const value = metric === "loss" ? -found : found;
  // NaN never counts as best: Pearson's correlation is undefined while all predictions are equal.
  const exceeds = (other: number | undefined | null) =>
    Number.isFinite(value) && value > (other ?? -Infinity);
  const isBest = exceeds(before.best?.value);
  const best = isBest ? { step, value, metrics: metricsBySplit(evaluations) } : before.best;
  if (step < earlyStoppingFrom) return { ...counted, best, isBest };
  const isBestCounted = exceeds(before.bestCounted);
  return {
    ...counted,
    best,
    bestCounted: isBestCounted ? value : before.bestCounted,
    evaluationsSinceBest: isBestCounted ? 0 : before.evaluationsSinceBest + 1,
    isBest,
  };
}
