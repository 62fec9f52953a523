/** A 95 % confidence interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A mean and its confidence interval. */
export interface MeanInterval extends Interval {
  readonly mean: number;
}

/**
 * Means of some columns over the same rows, with percentile bootstrap intervals: the 2.5th and 97.5th
 * percentiles of the means of 1000 resamples, drawn with replacement. All columns share the draws,
 * which are a function of `seed`. columns: one or more, with one or more rows each.
 */
export function bootstrapMeans(columns: readonly Float64Array[], seed: number): MeanInterval[] {
  const rows = columns[0]?.length ?? 0;
  const means = columns.map(() => new Float64Array(RESAMPLES));
  const counts = new Float64Array(rows);
  const nextWord = mulberry32(seed);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    counts.fill(0);
    for (let i = 0; i < rows; i++) counts[Math.floor((nextWord() / 2 ** 32) * rows)]!++;
    columns.forEach((column, c) => (means[c]![resample] = dot(column, counts) / rows));
  }
  return columns.map((column, c) => {
    const sorted = means[c]!.toSorted();
    return { mean: meanOf(column), low: quantile(sorted, TAIL), high: quantile(sorted, 1 - TAIL) };
  });
}

/** The quantile of sorted values, one or more, interpolated as numpy does by default. */
export function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (position - below) * (high - low);
}

// --- internal ---

const RESAMPLES = 1000;
const TAIL = 0.025;

/**
 * The mulberry32 generator. XSum's 11,334 rows take 11 million draws, for which Philox needs most of a
 * second; the bounds' sampling error dwarfs the difference in quality.
 */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return (word ^ (word >>> 14)) >>> 0;
  };
}

function meanOf(column: Float64Array): number {
  return column.reduce((sum, value) => sum + value, 0) / column.length;
}

function dot(values: Float64Array, counts: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * counts[i]!;
  return sum;
}
