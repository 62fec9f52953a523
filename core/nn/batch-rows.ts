import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Packing, Sequences } from "../kernels/attention.ts";
import type { TokenBatch } from "./packed-batch.ts";

/** The rows of a batch, as the layers of an encoder see them. */
export interface BatchRows<Shared = undefined> {
  readonly packing: Packing;
  /** Each sequence's first token, if the layer computes no other rows. */
  readonly firsts: FirstTokens | undefined;
  /** What the family's layers share of this batch; see `EncoderParts.share`. */
  readonly shared: Shared;
}

/** Each sequence's first token. */
export interface FirstTokens {
  /** i32 [B]: their rows in the batch. */
  readonly ids: Buffer;
  /** One row per sequence. */
  readonly rows: Sequences;
}

/** The first tokens of a batch, uploaded. */
export function firstTokens(pass: ForwardPass, { offsets }: TokenBatch): FirstTokens {
  const sequences = offsets.length - 1;
  const own = Int32Array.from({ length: sequences + 1 }, (_, b) => b);
  return {
    ids: pass.integers(offsets.subarray(0, sequences)),
    rows: { sequences, tokens: sequences, offsets: pass.integers(own), hostOffsets: own },
  };
}
