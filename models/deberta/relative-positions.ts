import type { DebertaConfig } from "./config.ts";

type Geometry = Pick<DebertaConfig, "positionBuckets" | "maxRelativePositions">;

/** Half the height of the relative embedding table: offsets live in -span .. span - 1. */
export function relativeSpan(config: Geometry): number {
  return config.positionBuckets > 0 ? config.positionBuckets : config.maxRelativePositions;
}

/**
 * The bucket of an offset of positions: itself up to half of the buckets, then logarithmic up to the largest position.
 * Single precision step by step, as the released models were trained: double precision would move some borders.
 */
export function bucketOf(
  offset: number,
  { positionBuckets, maxRelativePositions }: Geometry,
): number {
  const mid = Math.trunc(positionBuckets / 2);
  const distance = Math.abs(offset);
  if (positionBuckets <= 0 || distance <= mid) return offset;
  const { fround } = Math;
  const ratio = fround(
    fround(Math.log(fround(distance / mid))) /
      fround(Math.log(fround((maxRelativePositions - 1) / mid))),
  );
  return (Math.ceil(fround(ratio * (mid - 1))) + mid) * Math.sign(offset);
}

/** The rows of the relative embeddings that sequences of up to `span` positions can reach, and the row of each offset. */
export interface RelativeRows {
  /** First row of the table, and how many from there on. */
  readonly first: number;
  readonly count: number;
  /** [2 * span - 1]: row, counted from `first`, of offset d at index d + span - 1. */
  readonly index: Int32Array;
}

export function relativeRows(span: number, config: Geometry): RelativeRows {
  const half = relativeSpan(config);
  const row = (offset: number) =>
    Math.min(Math.max(bucketOf(offset, config) + half, 0), 2 * half - 1);
  const first = row(1 - span);
  const index = Int32Array.from({ length: 2 * span - 1 }, (_, i) => row(i - span + 1) - first);
  return { first, count: row(span - 1) - first + 1, index };
}
