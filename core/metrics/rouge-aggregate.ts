import { errors } from "../errors.ts";
import { bootstrapMeans, type Interval, type MeanInterval } from "./bootstrap.ts";
import { type RougeName, rougeNames, type RougeScore, type RougeScores } from "./rouge.ts";

/** Means and intervals of each variant's precision, recall and F-measure. */
export type RougeAggregate = Readonly<
  Record<RougeName, Readonly<Record<keyof RougeScore, MeanInterval>>>
>;

/**
 * Aggregates the scores of many pairs with bootstrap intervals, as `rouge_score`'s
 * BootstrapAggregator; the intervals are a function of `seed`. rouge_score's "mid" is the median of the
 * resampled means; ours is the mean itself, which does not depend on the draws. Throws E_METRIC for no
 * scores.
 */
export function aggregateRouge(scores: readonly RougeScores[], seed: number): RougeAggregate {
  if (scores.length === 0) throw errors.metric("rouge", "needs 1 or more pairs, got none");
  const columns = rougeNames.flatMap((name) =>
    parts.map((part) => Float64Array.from(scores, (pair) => pair[name][part])),
  );
  const means = bootstrapMeans(columns, seed);
  const scoreOf = (name: RougeName) => {
    const first = rougeNames.indexOf(name) * parts.length;
    const [precision, recall, fmeasure] = [means[first]!, means[first + 1]!, means[first + 2]!];
    return { precision, recall, fmeasure };
  };
  return byName(scoreOf);
}

/** The reference's metrics: mean F-measures in percent. */
export function rougeMetrics(aggregate: RougeAggregate): Record<RougeName, number> {
  return byName((name) => 100 * aggregate[name].fmeasure.mean);
}

/** The intervals of `rougeMetrics`, in percent. */
export function rougeIntervals(aggregate: RougeAggregate): Record<RougeName, Interval> {
  return byName((name) => {
    const { low, high } = aggregate[name].fmeasure;
    return { low: 100 * low, high: 100 * high };
  });
}

// --- internal ---

const parts = ["precision", "recall", "fmeasure"] as const;

function byName<Value>(valueOf: (name: RougeName) => Value): Record<RougeName, Value> {
  return {
    rouge1: valueOf("rouge1"),
    rouge2: valueOf("rouge2"),
    rougeL: valueOf("rougeL"),
    rougeLsum: valueOf("rougeLsum"),
  };
}
