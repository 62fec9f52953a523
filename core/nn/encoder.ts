import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Packing } from "../kernels/attention.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { SelectedRows } from "../ops/padding-rows.ts";
import type { Tensor } from "../tensor.ts";
import { type BatchRows, type FirstTokens, firstTokens } from "./batch-rows.ts";
import type { EmbeddedTokens } from "./embeddings.ts";
import type { EncoderLayer } from "./encoder-layer.ts";
import type { Norm } from "./norms.ts";
import { type TokenBatch, uploadPacking } from "./packed-batch.ts";
import { embedPadded, type EncoderPadding, padBatch } from "./padding.ts";

/** What the layers of an encoder share of a batch. */
export interface SharedState<Shared> {
  readonly value: Shared;
  /** The pass's buffers that `value` holds; they live until the last layer's backward. */
  readonly buffers: readonly (Buffer | undefined)[];
}

/** Computes what the layers share of a batch, such as position embeddings. */
type Share<Shared> = (pass: ForwardPass, rows: SharedRows) => SharedState<Shared>;

/** The rows of a batch, before its layers. */
export interface SharedRows {
  readonly batch: TokenBatch;
  readonly packing: Packing;
  /** [N + P]: the position of each row, those of padding rows included. */
  readonly positions: Int32Array;
}

/** The parts of an encoder; `share` is required where its layers share something. */
export type EncoderParts<Shared> = {
  readonly embeddings: { forward(pass: ForwardPass, batch: EmbeddedTokens): Tensor };
  readonly layers: readonly EncoderLayer<Shared>[];
  /** Behind the last layer, for families with pre-norm layers. */
  readonly norm?: Norm | undefined;
  /** Required for spans: their loss may count padded positions. */
  readonly padding?: EncoderPadding;
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

  /**
   * The hidden states of all tokens, [N, C], with padding rows below if the loss counts them.
   * `packing`: the batch's, where it has been uploaded.
   */
  forward(pass: ForwardPass, batch: TokenBatch, packing?: Packing): Tensor {
    return this.#run(pass, batch, undefined, packing);
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

  #run(
    pass: ForwardPass,
    batch: TokenBatch,
    firsts: FirstTokens | undefined,
    uploaded?: Packing,
  ): Tensor {
    const { embeddings, layers, norm, padding, observedAs = "hidden" } = this.#parts;
    const padded = firsts ? undefined : padBatch(pass, batch, padding);
    const packing = uploaded ?? uploadPacking(pass, batch);
    const positions = padded ? pass.integers(padded.positions) : packing.positions;
    let hidden = pass.scope(() => embedPadded(pass, embeddings, batch, padded));
    pass.observe(`${observedAs}.0`, hidden);
    const host = padded?.positions ?? batch.positions;
    const { value: shared, buffers } = this.#shared(pass, { batch, packing, positions: host });
    const all = {
      packing,
      positions,
      hostPositions: host,
      padding: padded?.rows,
      firsts: undefined,
      shared,
    };
    const reads = [...buffersOf(all), ...selected(firsts), firsts?.positions, ...buffers];
    for (const [i, layer] of layers.entries()) {
      const input = hidden;
      const rows = i === layers.length - 1 ? { ...all, firsts } : all;
      hidden = pass.checkpoint([input.buffer, ...reads], () => layer.forward(pass, input, rows));
      pass.tape.drop(input.buffer); // without a tape, only one layer's output lives at a time
      pass.observe(`${observedAs}.${i + 1}`, hidden);
    }
    if (!norm) return hidden;
    const normal = pass.scope(() => norm.forward(pass, hidden));
    pass.tape.drop(hidden.buffer);
    return normal;
  }

  #shared(pass: ForwardPass, rows: SharedRows): SharedState<Shared> {
    if ("share" in this.#parts) return this.#parts.share(pass, rows);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- without `share` it's undefined
    return { value: undefined as Shared, buffers: [] };
  }
}

// --- internal ---

/** The buffers of a batch that layers read. */
function buffersOf({ packing, positions, padding }: BatchRows<unknown>) {
  const geometry = [packing.offsets, packing.positions, positions, padding?.mix];
  return [...geometry, ...selected(padding?.queries)];
}

const selected = (some: SelectedRows | undefined) => [some?.ids, some?.rows.offsets];
