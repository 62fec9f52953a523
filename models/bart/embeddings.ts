import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { dropout } from "../../core/ops/dropout.ts";
import { embedding } from "../../core/ops/embedding.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import { type BartConfig, LAYER_NORM_EPS } from "./config.ts";

/** The position embeddings of released models begin with two unused rows. */
const FIRST_POSITION = 2;

/**
 * Word embeddings, shared by encoder, decoder and output, plus position embeddings of the encoder
 * or the decoder, normalised.
 */
export class BartEmbeddings {
  readonly #config: BartConfig;
  readonly #words: Parameter;
  readonly #positions: Parameter;
  readonly #norm: LayerNorm;

  /** `scope`: the encoder's or the decoder's. */
  constructor(scope: ModuleScope, words: Parameter, config: BartConfig) {
    const { hiddenSize, maxPositions, initializerRange } = config;
    const shape = [maxPositions + FIRST_POSITION, hiddenSize];
    this.#config = config;
    this.#words = words;
    this.#positions = scope
      .child("embed_positions")
      .parameter("weight", shape, { normal: initializerRange });
    this.#norm = scope.layerNorm("layernorm_embedding", hiddenSize, LAYER_NORM_EPS);
  }

  /** Returns [N, C]. */
  forward(pass: ForwardPass, { ids, positions }: Pick<TokenBatch, "ids" | "positions">): Tensor {
    const { scaleEmbedding, hiddenSize, special, dropout: p } = this.#config;
    const scale = scaleEmbedding ? Math.sqrt(hiddenSize) : 1;
    const words = embedding(pass, { table: this.#words }, { ids, paddingId: special.pad, scale });
    const rows = pass.integers(positions.map((position) => position + FIRST_POSITION));
    const sum = gatherRows(pass, { table: this.#positions, base: words }, { ids: rows });
    const { weight, bias, eps } = this.#norm;
    const normal = addLayerNorm(pass, { x: sum, weight, bias }, { eps });
    const mask = pass.nextDropout(p.hidden);
    return mask ? dropout(pass, { x: normal }, { dropout: mask }) : normal;
  }
}
