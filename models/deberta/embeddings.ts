import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { errors } from "../../core/errors.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { dropout } from "../../core/ops/dropout.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import { linear } from "../../core/ops/linear.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import type { DebertaConfig } from "./config.ts";

/** Word embeddings, plus the checkpoint's position and segment embeddings if any, normalised. */
export class DebertaEmbeddings {
  readonly #config: DebertaConfig;
  readonly #words: Parameter;
  readonly #positions: Parameter | undefined;
  readonly #types: Parameter | undefined;
  readonly #project: Parameter | undefined;
  readonly #norm: LayerNorm;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { embeddingSize, hiddenSize, initializerRange } = config;
    const table = (name: string, rows: number, width = embeddingSize) =>
      scope.child(name).parameter("weight", [rows, width], { normal: initializerRange });
    this.#config = config;
    this.#words = table("word_embeddings", config.vocabSize);
    if (config.positionBiasedInput)
      this.#positions = table("position_embeddings", config.maxPositions);
    if (config.typeVocabSize > 0)
      this.#types = table("token_type_embeddings", config.typeVocabSize);
    if (embeddingSize !== hiddenSize) this.#project = table("embed_proj", hiddenSize);
    this.#norm = scope.layerNorm("LayerNorm", hiddenSize, config.layerNormEps);
  }

  /** Returns [N, C]. */
  forward(pass: ForwardPass, batch: TokenBatch): Tensor {
    let x = gatherRows(pass, { table: this.#words }, { ids: pass.integers(batch.ids) });
    if (this.#positions)
      x = gatherRows(
        pass,
        { table: this.#positions, base: x },
        { ids: pass.integers(batch.positions) },
      );
    if (this.#types) {
      const typeIds = batch.typeIds ?? new Int32Array(batch.ids.length);
      checkSegments(typeIds, this.#config.typeVocabSize);
      x = gatherRows(pass, { table: this.#types, base: x }, { ids: pass.integers(typeIds) });
    }
    if (this.#project) {
      x = linear(pass, { x, weight: this.#project }, {});
    }
    const { weight, bias, eps } = this.#norm;
    const normal = addLayerNorm(pass, { x, weight, bias }, { eps });
    const mask = pass.nextDropout(this.#config.dropout.hidden);
    return mask ? dropout(pass, { x: normal }, { dropout: mask }) : normal;
  }
}

/** Throws E_CONFIG for a segment that the model has no embedding of, such as a pair's second text. */
function checkSegments(typeIds: Int32Array, count: number): void {
  const highest = typeIds.reduce((a, b) => Math.max(a, b), 0);
  if (highest < count) return;
  const rule = `above ${highest}, the last segment of these texts`;
  throw errors.config("config.json", "type_vocab_size", rule, count);
}
