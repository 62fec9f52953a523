/** The distribution of lengths: at least half are at most the median, 95 % at most `p95`. */
export interface LengthStats {
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** Percentiles by nearest rank; zeros without any lengths. */
export function lengthStats(lengths: ArrayLike<number>): LengthStats {
  const sorted = Float64Array.from(lengths).toSorted();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { median: at(0.5), p95: at(0.95), max: at(1) };
}
