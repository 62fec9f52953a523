import { type PackedTokens, tokensOf } from "../data/token-cache.ts";
import { packSequences, type TokenBatch } from "../nn/packed-batch.ts";

/** The packed batch of some items of a split, in the order given. */
export function packedBatch(tokens: PackedTokens, indices: ArrayLike<number>): TokenBatch {
  const rows = Array.from(indices, (i) => tokensOf(tokens, i));
  return packSequences(
    rows.map(({ ids }) => ids),
    rows.map(({ typeIds }) => typeIds),
  );
}

/** [items] tokens of each. */
export function lengthsOf({ offsets }: Pick<PackedTokens, "offsets">): Int32Array {
  return Int32Array.from({ length: offsets.length - 1 }, (_, i) => offsets[i + 1]! - offsets[i]!);
}
