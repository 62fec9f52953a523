import { type PackedTokens, tokensOf } from "../data/token-cache.ts";
import { packSequences, type TokenBatch } from "../nn/packed-batch.ts";

/** Packs some features of a split into a batch, in the given order. */
export function packedBatch(tokens: PackedTokens, indices: ArrayLike<number>): TokenBatch {
  const rows = Array.from(indices, (i) => tokensOf(tokens, i));
  return packSequences(
    rows.map(({ ids }) => ids),
    rows.map(({ typeIds }) => typeIds),
  );
}

/** Token count of each feature, [features]. */
export function lengthsOf({ offsets }: Pick<PackedTokens, "offsets">): Int32Array {
  return Int32Array.from({ length: offsets.length - 1 }, (_, i) => offsets[i + 1]! - offsets[i]!);
}
