import type { Packing } from "../kernels/attention.ts";
import type { ForwardPass } from "../forward-pass.ts";

/** Token rows without padding: sequence b owns rows offsets[b] .. offsets[b+1]. Made on the host, uploaded once. */
export interface TokenBatch {
  /** [N] */
  readonly ids: Int32Array;
  /** [N]: position in the sequence as it was before padding was dropped, so that a mask with holes packs too. */
  readonly positions: Int32Array;
  /** [N] segment ids, where the model has them. */
  readonly typeIds?: Int32Array;
  /** [B + 1] */
  readonly offsets: Int32Array;
  /** [B]: positions that each sequence lacks to the reference's padded width, where a loss counts them (see `PaddingRows`). */
  readonly padding?: Int32Array;
}

/** Packs sequences without holes: positions count from 0. */
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

/** The batch's geometry on the device. */
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
