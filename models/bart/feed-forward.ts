import type { Linear } from "../../core/nn/linear.ts";
import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { dropout } from "../../core/ops/dropout.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Tensor } from "../../core/tensor.ts";
import { type BartConfig, type BartStack, LAYER_NORM_EPS } from "./config.ts";

/** A layer's feed-forward block, with residual and LayerNorm. */
export class BartFeedForward {
  readonly #config: BartConfig;
  readonly #up: Linear;
  readonly #down: Linear;
  readonly #norm: LayerNorm;

  constructor(layer: ModuleScope, config: BartConfig, { ffnSize }: BartStack) {
    const { hiddenSize, initializerRange } = config;
    this.#config = config;
    this.#up = layer.linear("fc1", hiddenSize, ffnSize, initializerRange);
    this.#down = layer.linear("fc2", ffnSize, hiddenSize, initializerRange);
    this.#norm = layer.layerNorm("final_layer_norm", hiddenSize, LAYER_NORM_EPS);
  }

  /** x: [N, C]; returns [N, C]. */
  forward(pass: ForwardPass, x: Tensor): Tensor {
    const { activation, dropout: p } = this.#config;
    const intermediate = this.#up.forward(pass, x, activation);
    const mask = pass.nextDropout(p.activation);
    const dropped = mask ? dropout(pass, { x: intermediate }, { dropout: mask }) : intermediate;
    const projected = this.#down.forward(pass, dropped);
    const { weight, bias, eps } = this.#norm;
    const attrs = { eps, dropout: pass.nextDropout(p.hidden) };
    return addLayerNorm(pass, { x: projected, residual: x, weight, bias }, attrs);
  }
}
