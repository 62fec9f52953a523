import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Packing } from "../kernels/attention.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { Tensor } from "../tensor.ts";
import { type FirstTokens, firstTokens } from "./batch-rows.ts";
import type { EncoderLayer } from "./encoder-layer.ts";
import type { Norm } from "./layer-norm.ts";
import { type TokenBatch, uploadPacking } from "./packed-batch.ts";

/** What the layers of an encoder share of a batch. */
export interface SharedState<Shared> {
  readonly value: Shared;
  /** The pass's buffers that `value` holds; they live until the last layer's backward. */
  readonly buffers: readonly (Buffer | undefined)[];
}

/** Computes what the layers share of a batch, such as position embeddings. */
type Share<Shared> = (
  pass: ForwardPass,
  batch: TokenBatch,
  packing: Packing,
) => SharedState<Shared>;

/** The parts of an encoder; `share` is required where its layers share something. */
export type EncoderParts<Shared> = {
  readonly embeddings: { forward(pass: ForwardPass, batch: TokenBatch): Tensor };
  readonly layers: readonly EncoderLayer<Shared>[];
  /** Behind the last layer, for families with pre-norm layers. */
  readonly norm?: Norm | undefined;
  /** Name of the observed states: "hidden" gives hidden.0 (the embeddings), hidden.1, …. */
  readonly observedAs?: string;
} & (undefined extends Shared ? object : { readonly share: Share<Shared> });

/**
 * Embeddings and a stack of layers. Each layer is a scope of its own: with checkpointing, backward
 * reruns it; without a tape, only one layer's output lives at a time.
 */
export class Encoder<Shared = undefined> {
  readonly #parts: EncoderParts<Shared>;

  constructor(parts: EncoderParts<Shared>) {
    this.#parts = parts;
  }

  /** The hidden states of all tokens: [N, C]. */
  forward(pass: ForwardPass, batch: TokenBatch): Tensor {
    return this.#run(pass, batch, undefined);
  }

  /**
   * The hidden states of each sequence's first token: [B, C]. The last layer computes only these,
   * unless the pass is observed.
   */
  firstRows(pass: ForwardPass, batch: TokenBatch): Tensor {
    const firsts = firstTokens(pass, batch);
    if (!pass.observed) return this.#run(pass, batch, firsts);
    return gatherRows(pass, { table: this.#run(pass, batch, undefined) }, { ids: firsts.ids });
  }

  #run(pass: ForwardPass, batch: TokenBatch, firsts: FirstTokens | undefined): Tensor {
    const { embeddings, layers, norm, observedAs = "hidden" } = this.#parts;
    const packing = uploadPacking(pass, batch);
    let hidden = pass.scope(() => embeddings.forward(pass, batch));
    pass.observe(`${observedAs}.0`, hidden);
    const { value: shared, buffers } = this.#shared(pass, batch, packing);
    const geometry = [packing.offsets, packing.positions, firsts?.ids, firsts?.rows.offsets];
    for (const [i, layer] of layers.entries()) {
      const input = hidden;
      const rows = { packing, shared, firsts: i === layers.length - 1 ? firsts : undefined };
      const reads = [input.buffer, ...geometry, ...buffers];
      hidden = pass.checkpoint(reads, () => layer.forward(pass, input, rows));
      pass.tape.drop(input.buffer); // without a tape, only one layer's output lives at a time
      pass.observe(`${observedAs}.${i + 1}`, hidden);
    }
    return norm ? norm.forward(pass, hidden) : hidden;
  }

  #shared(pass: ForwardPass, batch: TokenBatch, packing: Packing): SharedState<Shared> {
    if ("share" in this.#parts) return this.#parts.share(pass, batch, packing);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- without `share` it's undefined
    return { value: undefined as Shared, buffers: [] };
  }
}
