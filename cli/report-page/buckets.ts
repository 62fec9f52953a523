import type { Series } from "./read-log.ts";

/** Consecutive steps of a curve as one point: the lowest and the highest value are the log's own. */
export interface Bucket {
  /** The last step of the bucket. */
  readonly step: number;
  readonly low: number;
  readonly high: number;
  readonly mean: number;
}

/**
 * Divides a curve into at most `most` buckets of equally many points. A curve of no more points has
 * a bucket for each: then `low`, `high` and `mean` are all the log's value.
 */
export function bucketsOf({ steps, values }: Series, most: number): readonly Bucket[] {
  const size = Math.max(1, Math.ceil(steps.length / most));
  const buckets: Bucket[] = [];
  for (let start = 0; start < steps.length; start += size) {
    const end = Math.min(start + size, steps.length);
    let [low, high, sum] = [Infinity, -Infinity, 0];
    for (let i = start; i < end; i++) {
      const value = values[i]!;
      low = Math.min(low, value);
      high = Math.max(high, value);
      sum += value;
    }
    const mean = end - start === 1 ? sum : short(sum / (end - start));
    buckets.push({ step: steps[end - 1]!, low, high, mean });
  }
  return buckets;
}

/** At most `most` items, evenly spread, with the first and the last. */
export function thinned<T>(items: readonly T[], most: number): readonly T[] {
  if (items.length <= most) return items;
  const last = items.length - 1;
  return Array.from({ length: most }, (_, i) => items[Math.round((i * last) / (most - 1))]!);
}

// --- internal ---

const short = (value: number) => Number(value.toPrecision(6));
