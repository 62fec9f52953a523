import { errors, invariant } from "../errors.ts";
import { drawsOf } from "../data/shuffle.ts";
import { type RougeName, rougeNames, type RougeScore, type RougeScores } from "./rouge.ts";

/** A mean with the interval that holds it in 95 of 100 data sets like this one. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export type RougeAggregate = Readonly<
  Record<RougeName, Readonly<Record<keyof RougeScore, Interval>>>
>;

const samples = 1000;
const tail = 0.025;

/**
 * The means of many pairs' scores. The intervals are a bootstrap's, as `rouge_score` makes them:
 * means of as many pairs drawn with replacement, 1000 times; they are a function of `seed`. The
 * reference reports the median of these means; we report the mean itself, which does not depend on
 * the draws. Throws E_METRIC on no scores.
 */
export function aggregateRouge(scores: readonly RougeScores[], seed: number): RougeAggregate {
  if (scores.length === 0) throw errors.metric("rouge", "needs 1 or more pairs, got none");
  const columns = rougeNames.flatMap((name) =>
    parts.map((part) => Float64Array.from(scores, (pair) => pair[name][part])),
  );
  const intervals = bootstrap(columns, seed);
  const of = (name: RougeName, part: keyof RougeScore): Interval => {
    const column = rougeNames.indexOf(name) * parts.length + parts.indexOf(part);
    const interval = intervals[column];
    invariant(interval !== undefined, `no interval for ${name} ${part}`);
    return interval;
  };
  const scoreOf = (name: RougeName) => ({
    precision: of(name, "precision"),
    recall: of(name, "recall"),
    fmeasure: of(name, "fmeasure"),
  });
  return {
    rouge1: scoreOf("rouge1"),
    rouge2: scoreOf("rouge2"),
    rougeL: scoreOf("rougeL"),
    rougeLsum: scoreOf("rougeLsum"),
  };
}

/** What the metrics are made of. */
type MeanFMeasures = Readonly<Record<RougeName, { readonly fmeasure: Pick<Interval, "mean"> }>>;

/**
 * The mean F-measures of many pairs, one or more: those of `aggregateRouge`, without the work of
 * its intervals.
 */
export function meanRouge(scores: readonly RougeScores[]): MeanFMeasures {
  const of = (name: RougeName) => {
    const mean = meanOf(Float64Array.from(scores, (pair) => pair[name].fmeasure));
    return { fmeasure: { mean } };
  };
  return {
    rouge1: of("rouge1"),
    rouge2: of("rouge2"),
    rougeL: of("rougeL"),
    rougeLsum: of("rougeLsum"),
  };
}

/** The reference's metrics: mean F-measures in percent. */
export function rougeMetrics(aggregate: MeanFMeasures): Record<RougeName, number> {
  return {
    rouge1: 100 * aggregate.rouge1.fmeasure.mean,
    rouge2: 100 * aggregate.rouge2.fmeasure.mean,
    rougeL: 100 * aggregate.rougeL.fmeasure.mean,
    rougeLsum: 100 * aggregate.rougeLsum.fmeasure.mean,
  };
}

const parts = ["precision", "recall", "fmeasure"] as const;

/** The same draws serve every column. */
function bootstrap(columns: readonly Float64Array[], seed: number): Interval[] {
  const count = columns[0]?.length ?? 0;
  const means = columns.map(() => new Float64Array(samples));
  const times = new Float64Array(count);
  const draw = drawsOf(seed, 0, 0);
  for (let sample = 0; sample < samples; sample++) {
    times.fill(0);
    for (let i = 0; i < count; i++) times[draw(count)]!++;
    columns.forEach((column, c) => (means[c]![sample] = dot(column, times) / count));
  }
  return columns.map((column, c) => {
    const sorted = means[c]!.toSorted();
    return { mean: meanOf(column), low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
  });
}

function meanOf(column: Float64Array): number {
  return column.reduce((sum, value) => sum + value, 0) / column.length;
}

function dot(values: Float64Array, times: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * times[i]!;
  return sum;
}

/** Between two values the quantile is on the line through them. sorted: one or more. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (place - below) * (high - low);
}
