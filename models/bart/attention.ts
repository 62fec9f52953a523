import type { Sequences } from "../../core/kernels/attention.ts";
import type { Linear } from "../../core/nn/linear.ts";
import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { type ChosenRows, attendChosenRows } from "../../core/ops/attend-chosen-rows.ts";
import { attention } from "../../core/ops/attention.ts";
import type { AttendedRows } from "../../core/model/plugin.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Tensor } from "../../core/tensor.ts";
import { type BartConfig, type BartStack, LAYER_NORM_EPS } from "./config.ts";

/**
 * Multi-head attention with its output projection, residual and LayerNorm. Keys and values are
 * projected in a separate call, so that a decoder can project a source's once for all its tokens,
 * and cache those of earlier tokens.
 */
export class BartAttention {
  readonly #config: BartConfig;
  readonly #heads: number;
  readonly #key: Linear;
  readonly #value: Linear;
  readonly #query: Linear;
  readonly #output: Linear;
  readonly #norm: LayerNorm;

  /** `layer`: the layer's scope; `name`: "self_attn" or "encoder_attn". */
  constructor(layer: ModuleScope, name: string, config: BartConfig, { heads }: BartStack) {
    const { hiddenSize, initializerRange } = config;
    const scope = layer.child(name);
    const project = (which: string) =>
      scope.linear(which, hiddenSize, hiddenSize, initializerRange);
    this.#config = config;
    this.#heads = heads;
    this.#key = project("k_proj");
    this.#value = project("v_proj");
    this.#query = project("q_proj");
    this.#output = project("out_proj");
    this.#norm = layer.layerNorm(`${name}_layer_norm`, hiddenSize, LAYER_NORM_EPS);
  }

  /** Projects packed rows to keys and values. x: [M, C]. */
  attended(pass: ForwardPass, x: Tensor, rows: Sequences): AttendedRows {
    return {
      k: pass.scope(() => this.#key.forward(pass, x)),
      v: pass.scope(() => this.#value.forward(pass, x)),
      rows,
    };
  }

  /** x: [N, C], the packed `queries`; returns [N, C]. */
  forward(
    pass: ForwardPass,
    x: Tensor,
    queries: Sequences,
    { k, v, rows: keys }: AttendedRows,
    { causal }: { causal: boolean },
  ): Tensor {
    const mask = pass.nextDropout(this.#config.dropout.attention);
    const shape = { queries, keys, ...this.#headShape, causal, dropout: mask };
    const q = this.#query.forward(pass, x);
    return this.#project(pass, attention(pass, { q, k, v }, { shape }), x);
  }

  /** x: [N, C], of which each row attends to `count` chosen rows; returns [N, C]. */
  forwardChosen(pass: ForwardPass, x: Tensor, chosen: ChosenRows, count: number): Tensor {
    const q = this.#query.forward(pass, x);
    const shape = { rows: x.shape[0] ?? 0, count, ...this.#headShape };
    return this.#project(pass, attendChosenRows(pass, q, chosen, shape), x);
  }

  get #headShape() {
    const headDim = this.#config.hiddenSize / this.#heads;
    return { heads: this.#heads, headDim, scale: Math.sqrt(headDim) };
  }

  /** Output projection, residual and LayerNorm. */
  #project(pass: ForwardPass, attended: Tensor, x: Tensor): Tensor {
    const out = this.#output.forward(pass, attended);
    const { weight, bias, eps } = this.#norm;
    const dropout = pass.nextDropout(this.#config.dropout.hidden);
    return addLayerNorm(pass, { x: out, residual: x, weight, bias }, { eps, dropout });
  }
}
