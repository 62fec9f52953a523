import type { Packing } from "../kernels/attention.ts";
import type { ForwardPass } from "../forward-pass.ts";

/**
 * Token rows without padding: sequence b owns rows offsets[b] .. offsets[b+1]. Built on the host,
 * uploaded once.
 */
export interface TokenBatch {
  /** [N]: token ids. */
  readonly ids: Int32Array;
  /** [N]: position in the sequence before padding was dropped, so that a mask may have holes. */
  readonly positions: Int32Array;
  /** [N]: segment ids, for models that use them. */
  readonly typeIds?: Int32Array;
  /** [B + 1] */
  readonly offsets: Int32Array;
  /**
   * [B]: padded positions of each sequence at the reference's padded width, if the loss counts them
   * (see `PaddingRows`).
   */
  readonly padding?: Int32Array;
}

/** Packs sequences without holes: each one's positions count from 0. */
export function packSequences(
  sequences: readonly ArrayLike<number>[],
  typeIds?: readonly ArrayLike<number>[],
): TokenBatch {
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach((ids, b) => (offsets[b + 1] = offsets[b]! + ids.length));
  const tokens = offsets[sequences.length]!;
  const batch = { ids: new Int32Array(tokens), positions: new Int32Array(tokens), offsets };
  sequences.forEach((ids, b) => {
    batch.ids.set(ids, offsets[b]);
    for (let i = 0; i < ids.length; i++) batch.positions[offsets[b]! + i] = i;
  });
  if (!typeIds) return batch;
  const types = new Int32Array(tokens);
  typeIds.forEach((row, b) => types.set(row, offsets[b]));
  return { ...batch, typeIds: types };
}

/** Uploads a batch's offsets and positions. */
export function uploadPacking(pass: ForwardPass, batch: TokenBatch): Packing {
  const sequences = batch.offsets.length - 1;
  return {
    sequences,
    tokens: batch.ids.length,
    offsets: pass.integers(batch.offsets),
    hostOffsets: batch.offsets,
    positions: pass.integers(batch.positions),
    span: spanOf(batch),
  };
}

function spanOf({ offsets, positions }: TokenBatch): number {
  let span = 1;
  for (let b = 0; b + 1 < offsets.length; b++) {
    const [first, last] = [offsets[b]!, offsets[b + 1]! - 1];
    if (last >= first) span = Math.max(span, positions[last]! - positions[first]! + 1);
  }
  return span;
}
