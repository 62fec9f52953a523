import { erf } from "../../core/backend/reference/erf.ts";
import { randomInts } from "../../core/data/shuffle.ts";
import { type Interval, quantile } from "../../core/metrics/bootstrap.ts";
import { meanAndDeviation } from "../../core/metrics/mean-and-deviation.ts";
import { streamOf } from "../../core/rng.ts";

/** What several runs of one arm reached. */
export interface Spread {
  readonly mean: number;
  /** Of a sample; null for a single value, which shows no spread. */
  readonly std: number | null;
  readonly median: number;
}

/** How an arm differs from another one in runs of the same seeds. */
export interface PairedDifference {
  readonly mean: number;
  /** The ends of a 95 % interval of the mean; null for a single seed, which has none. */
  readonly low: number | null;
  readonly high: number | null;
  /** Seeds in which the arm was better, equal and worse. */
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
}

/** A difference with its interval, which takes two seeds or more. */
export type DifferenceWithInterval = PairedDifference & Interval;

/** The same difference; undefined where it has no interval. */
export function withInterval({
  low,
  high,
  ...rest
}: PairedDifference): DifferenceWithInterval | undefined {
  return low === null || high === null ? undefined : { ...rest, low, high };
}

/** Mean, standard deviation and median. `values` is not empty. */
export function spreadOf(values: readonly number[]): Spread {
  const { mean, deviation } = meanAndDeviation(values);
  const std = values.length > 1 ? deviation : null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { mean, std, median };
}

/**
 * The paired differences `values - baseline`, both by seed. The interval is the expanded percentile
 * bootstrap's (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015): means of 10,000
 * samples of the differences, drawn with replacement, and the same ones for the same number of
 * seeds. Its percentiles are those at which a normal distribution would give Student's interval,
 * since the plain ones are too narrow for few seeds: with five they hold 83 % instead of 95 %.
 * Fewer than five get Student's interval itself, since no sample's mean lies beyond the
 * differences, which hold 75 % with three; a single one gets none. Not empty.
 */
export function pairedDifference(
  values: readonly number[],
  baseline: readonly number[],
  isHigherBetter: boolean,
): PairedDifference {
  const differences = values.map((value, i) => value - baseline[i]!);
  const sign = isHigherBetter ? 1 : -1;
  const countOf = (which: (gain: number) => boolean) =>
    differences.filter((difference) => which(sign * difference)).length;
  return {
    mean: meanAndDeviation(differences).mean,
    ...intervalOf(differences),
    wins: countOf((gain) => gain > 0),
    ties: countOf((gain) => gain === 0),
    losses: countOf((gain) => gain < 0),
  };
}

// --- internal ---

const SAMPLES = 10_000;
/** Differences from which on samples of them reach far enough for a 95 % interval. */
const FEWEST_SAMPLED = 5;

function intervalOf(differences: readonly number[]): Interval | typeof noInterval {
  if (differences.length < 2) return noInterval;
  const isEnough = differences.length >= FEWEST_SAMPLED;
  return isEnough ? bootstrapInterval(differences) : studentInterval(differences);
}

const noInterval = { low: null, high: null } as const;

/** `values`: two or more. */
function studentInterval(values: readonly number[]): Interval {
  const { mean, deviation } = meanAndDeviation(values);
  const count = values.length;
  const reach = (studentQuantile(count - 1) * deviation) / Math.sqrt(count);
  return { low: mean - reach, high: mean + reach };
}

function bootstrapInterval(values: readonly number[]): Interval {
  const count = values.length;
  const { indices, tail } = samplesOf(count);
  const means = new Float64Array(SAMPLES);
  for (let sample = 0; sample < SAMPLES; sample++) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[indices[sample * count + i]!]!;
    means[sample] = sum / count;
  }
  means.sort();
  return { low: quantile(means, tail), high: quantile(means, 1 - tail) };
}

/** The samples of `count` differences, and the share of them outside each end of the interval. */
interface Samples {
  /** Of the differences in each sample, one sample after the other: [SAMPLES * count]. */
  readonly indices: Uint32Array;
  readonly tail: number;
}

/** Samples depend on the number of differences only, so a table's cells share them. */
const knownSamples = new Map<number, Samples>();

function samplesOf(count: number): Samples {
  let samples = knownSamples.get(count);
  if (samples === undefined) {
    const draw = randomInts(0, count, streamOf("paired bootstrap"));
    const indices = Uint32Array.from({ length: SAMPLES * count }, () => draw(count));
    samples = { indices, tail: tailFor(count) };
    knownSamples.set(count, samples);
  }
  return samples;
}

/** The share of samples outside each end of a 95 % interval for `count` values. */
function tailFor(count: number): number {
  const reach = studentQuantile(count - 1) * Math.sqrt(count / (count - 1));
  return 0.5 * (1 - erf(reach / Math.SQRT2));
}

/**
 * The t within which 95 % of Student's distribution lie. With t = sqrt(freedom) tan(angle) its
 * share is the integral of cos(angle)^(freedom - 1), relative to that over a right angle.
 */
function studentQuantile(freedom: number): number {
  const share = (angle: number) => {
    const steps = 2000;
    let sum = 0;
    for (let i = 0; i < steps; i++) sum += Math.cos(((i + 0.5) / steps) * angle) ** (freedom - 1);
    return (sum / steps) * angle;
  };
  const whole = share(Math.PI / 2);
  let [low, high] = [0, Math.PI / 2];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (share(middle) / whole < 0.95) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan(low);
}
