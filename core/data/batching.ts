import { invariant } from "../errors.ts";
import { randomInts, shuffle } from "./shuffle.ts";

/** The indices of a batch's examples. */
export type Batch = Uint32Array;

/** How an epoch is divided into batches. */
interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** From 0; each epoch has its own order. */
  readonly epoch: number;
  /**
   * Batch examples of similar length: less padding where batches are padded, more even steps where
   * they are packed.
   */
  readonly bucketed: boolean;
}

// Large enough for batches of similar length, small enough that an epoch's start is a fair sample
// of the data.
const windowBatches = 50;

/**
 * The batches of one training epoch: every example once, in an order that depends only on the
 * options and the lengths. lengths: [n], in tokens. The last batch may be shorter and is kept; its
 * examples are a random sample.
 */
export function trainingBatches(lengths: ArrayLike<number>, options: BatchOptions): Batch[] {
  const { batchSize, seed, epoch, bucketed } = options;
  invariant(Number.isInteger(batchSize) && batchSize > 0, `batch size ${batchSize}`);
  const randomInt = randomInts(seed, epoch, 0);
  const order = shuffle(indices(lengths.length), randomInt);
  const fullLength = order.length - (order.length % batchSize);
  const batches: Batch[] = [];
  const windowSize = windowBatches * batchSize;
  for (let start = 0; start < fullLength; start += windowSize) {
    const window = order.subarray(start, Math.min(start + windowSize, fullLength));
    if (bucketed) sortByLength(window, lengths);
    for (const batch of chunksOf(window, batchSize)) batches.push(batch);
  }
  if (bucketed) shuffle(batches, randomInt);
  if (fullLength < order.length) batches.push(order.subarray(fullLength));
  return batches;
}

/** Batches for evaluation, longest first, so that running out of memory happens at once. */
export function evaluationBatches(lengths: ArrayLike<number>, batchSize: number): Batch[] {
  invariant(Number.isInteger(batchSize) && batchSize > 0, `batch size ${batchSize}`);
  return chunksOf(sortByLength(indices(lengths.length), lengths).toReversed(), batchSize);
}

function indices(n: number): Uint32Array {
  return Uint32Array.from({ length: n }, (_, i) => i);
}

/** A stable sort, so that the order does not depend on the engine. */
function sortByLength(window: Uint32Array, lengths: ArrayLike<number>): Uint32Array {
  const sorted = Array.from(window).toSorted((a, b) => lengths[a]! - lengths[b]!);
  window.set(sorted);
  return window;
}

/** Consecutive parts of `size` examples; the last one may be shorter. */
export function chunksOf(order: Uint32Array, size: number): Batch[] {
  const chunks: Batch[] = [];
  for (let at = 0; at < order.length; at += size) chunks.push(order.subarray(at, at + size));
  return chunks;
}
