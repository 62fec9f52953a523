import type { DebertaConfig } from "./config.ts";

type Geometry = Pick<DebertaConfig, "positionBuckets" | "maxRelativePositions">;

/** Half the rows of the relative embedding table: offsets range from -span to span - 1. */
export function relativeSpan(config: Geometry): number {
  return config.positionBuckets > 0 ? config.positionBuckets : config.maxRelativePositions;
}

/**
 * The bucket of a relative position: the offset itself up to half of the buckets, then logarithmic
 * up to the largest position. Each step is rounded to single precision, as when the released models
 * were trained: double precision would move some bucket boundaries. Where the largest position is
 * below half of the buckets, far offsets fall into lower buckets again; where it is that half plus
 * 1, they have none: NaN or Infinity.
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

/** The relative embeddings within reach of sequences of up to `span` positions. */
export interface RelativeRows {
  /** The first row in the table, and the number of rows. */
  readonly first: number;
  readonly count: number;
  /** [2 * span - 1]: at index d + span - 1 the row of offset d, counted from `first`. */
  readonly index: Int32Array;
}

/** Finds the rows that sequences of up to `span` positions can reach. */
export function relativeRows(span: number, config: Geometry): RelativeRows {
  const half = relativeSpan(config);
  const row = (offset: number) => {
    const bucket = bucketOf(offset, config);
    // transformers converts buckets to int64: x86 makes the smallest integer of NaN and infinities.
    return Number.isFinite(bucket) ? Math.min(Math.max(bucket + half, 0), 2 * half - 1) : 0;
  };
  const index = new Int32Array(2 * span - 1);
  let [first, last] = [Infinity, -Infinity];
  for (let i = 0; i < index.length; i++) {
    const own = row(i - span + 1);
    index[i] = own;
    first = Math.min(first, own);
    last = Math.max(last, own);
  }
  for (let i = 0; i < index.length; i++) index[i]! -= first;
  return { first, count: last - first + 1, index };
}
