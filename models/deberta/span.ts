import type { Linear } from "../../core/nn/linear.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { PaddedQueries } from "../../core/ops/padding-rows.ts";
import type { Model } from "../../core/model/plugin.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Tensor } from "../../core/tensor.ts";
import { DebertaBackbone } from "./backbone.ts";
import type { DebertaConfig } from "./config.ts";

/**
 * The backbone and the logits of an answer's start and end per token: [N, 2], then padding rows.
 */
export class DebertaSpan implements Model {
  readonly #backbone: DebertaBackbone;
  readonly #outputs: Linear;
  readonly #queries: PaddedQueries;

  constructor(scope: ModuleScope, config: DebertaConfig, queries: PaddedQueries) {
    this.#backbone = new DebertaBackbone(scope, config);
    this.#outputs = scope.linear("qa_outputs", config.hiddenSize, 2, config.initializerRange);
    this.#queries = queries;
  }

  forward(pass: ForwardPass, batch: TokenBatch): Tensor {
    return this.#outputs.forward(pass, this.#backbone.forward(pass, batch, this.#queries));
  }
}
