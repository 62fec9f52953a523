import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Packing } from "../kernels/attention.ts";
import type { PaddingRows, SelectedRows } from "../ops/padding-rows.ts";
import type { TokenBatch } from "./packed-batch.ts";

/** The rows of a batch, as the layers of an encoder see them. */
export interface BatchRows<Shared = undefined> {
  /** The tokens: the first N rows. */
  readonly packing: Packing;
  /** i32 [N + P]: the position of each row, those of padding rows included. */
  readonly positions: Buffer;
  /** The same on the host, which made it. */
  readonly hostPositions: Int32Array;
  /** The P rows below the tokens, if the loss counts padded positions. */
  readonly padding: PaddingRows | undefined;
  /** Each sequence's first token, if the layer computes no other rows. */
  readonly firsts: FirstTokens | undefined;
  /** What the family's layers share of this batch; see `EncoderParts`. */
  readonly shared: Shared;
}

/** Each sequence's first token. */
export interface FirstTokens extends SelectedRows {
  /** i32 [B] */
  readonly positions: Buffer;
}

/** The first tokens of a batch, uploaded. */
export function firstTokens(pass: ForwardPass, { offsets, positions }: TokenBatch): FirstTokens {
  const sequences = offsets.length - 1;
  const ids = offsets.subarray(0, sequences);
  const own = Int32Array.from({ length: sequences + 1 }, (_, b) => b);
  return {
    ids: pass.integers(ids),
    positions: pass.integers(ids.map((row) => positions[row] ?? 0)),
    rows: { sequences, tokens: sequences, offsets: pass.integers(own), hostOffsets: own },
  };
}
