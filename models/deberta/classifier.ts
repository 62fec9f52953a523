import { errors } from "../../core/errors.ts";
import type { Linear } from "../../core/nn/linear.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { activation } from "../../core/ops/activation.ts";
import { dropout } from "../../core/ops/dropout.ts";
import type { Model } from "../../core/model/plugin.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Tensor } from "../../core/tensor.ts";
import { DebertaBackbone } from "./backbone.ts";
import type { DebertaConfig } from "./config.ts";

/**
 * The backbone with pooler and classifier on each sequence's first token. Logits: [B, labels]. Throws
 * E_CONFIG for a pooler of another width than the backbone.
 */
export class DebertaClassifier implements Model {
  readonly #config: DebertaConfig;
  readonly #backbone: DebertaBackbone;
  readonly #pooler: Linear;
  readonly #classifier: Linear;

  constructor(scope: ModuleScope, config: DebertaConfig, labels: number) {
    const { poolerSize, hiddenSize, initializerRange: std } = config;
    if (poolerSize !== hiddenSize) {
      const rule = `${hiddenSize}, the hidden_size`;
      throw errors.config("config.json", "pooler_hidden_size", rule, poolerSize);
    }
    this.#config = config;
    this.#backbone = new DebertaBackbone(scope, config);
    this.#pooler = scope.child("pooler").linear("dense", poolerSize, poolerSize, std);
    this.#classifier = scope.linear("classifier", poolerSize, labels, std);
  }

  forward(pass: ForwardPass, batch: TokenBatch): Tensor {
    const first = this.#backbone.firstRows(pass, batch);
    const { poolerActivation: kind, dropout: p } = this.#config;
    const pooled = this.#pooler.forward(pass, drop(pass, first, p.pooler));
    return this.#classifier.forward(
      pass,
      drop(pass, activation(pass, { x: pooled }, { kind }), p.head),
    );
  }
}

function drop(pass: ForwardPass, x: Tensor, probability: number): Tensor {
  const mask = pass.nextDropout(probability);
  return mask ? dropout(pass, { x }, { dropout: mask }) : x;
}
