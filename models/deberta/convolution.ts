import {
  type ForwardPass,
  type ModuleScope,
  nn,
  ops,
  type Parameter,
  type Tensor,
  type TokenBatch,
} from "../../core/kit/kit.ts";
import type { DebertaShared } from "./attention.ts";
import type { DebertaConfig } from "./config.ts";

/**
 * The convolution of v2-xlarge: y = LayerNorm(layer 1's output + act(dropout(conv(embeddings)))).
 */
export class DebertaConvolution {
  readonly #config: DebertaConfig;
  readonly #weight: Parameter;
  readonly #bias: Parameter;
  readonly #norm: nn.LayerNorm;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { hiddenSize: C, convKernelSize, initializerRange, layerNormEps } = config;
    const conv = scope.child("conv");
    this.#config = config;
    this.#weight = conv.parameter("weight", [C, C * convKernelSize], { normal: initializerRange }, [
      C,
      C,
      convKernelSize,
    ]);
    this.#bias = conv.parameter("bias", [C], "zeros");
    this.#norm = scope.layerNorm("LayerNorm", C, layerNormEps);
  }

  /** x: the embeddings' output; residual: the first layer's; both [N, C]. Returns [N, C]. */
  forward(pass: ForwardPass, x: Tensor, residual: Tensor, batch: TokenBatch): Tensor {
    const { convKernelSize: width, convActivation: kind, dropout: p } = this.#config;
    const near = pass.integers(neighbours(batch, width));
    const windows = ops.unfold(pass, { x }, { neighbours: near, width });
    const mixed = ops.linear(pass, { x: windows, weight: this.#weight, bias: this.#bias }, {});
    const out = ops.activation(pass, { x: nn.drop(pass, mixed, p.hidden) }, { kind });
    const { weight, bias, eps } = this.#norm;
    return ops.addLayerNorm(pass, { x: out, residual, weight, bias }, { eps });
  }
}

/** The first layer with the convolution of its input beside it. */
export class ConvolvedLayer implements nn.EncoderLayer<DebertaShared> {
  readonly #layer: nn.EncoderLayer<DebertaShared>;
  readonly #convolution: DebertaConvolution;

  constructor(layer: nn.EncoderLayer<DebertaShared>, convolution: DebertaConvolution) {
    this.#layer = layer;
    this.#convolution = convolution;
  }

  /** The convolution masks padding: padding rows of the result are zeros. */
  forward(pass: ForwardPass, x: Tensor, rows: nn.BatchRows<DebertaShared>): Tensor {
    const { padding, packing, shared } = rows;
    const out = this.#layer.forward(pass, x, { ...rows, firsts: undefined });
    const tokens = (t: Tensor) =>
      padding ? ops.firstRows(pass, { x: t }, { rows: packing.tokens }) : t;
    const mixed = this.#convolution.forward(pass, tokens(x), tokens(out), shared.batch);
    if (padding) return ops.appendZeroRows(pass, { x: mixed }, { rows: padding.count });
    return nn.queryRows(pass, mixed, rows);
  }
}

/**
 * [N, width]: the rows of each token's neighbours by position in its sequence; -1 for padding and
 * beyond the borders.
 */
export function neighbours({ offsets, positions }: TokenBatch, width: number): Int32Array {
  const out = new Int32Array(positions.length * width).fill(-1);
  const radius = (width - 1) / 2;
  for (let b = 0; b + 1 < offsets.length; b++) {
    const rowAt = new Map<number, number>();
    for (let i = offsets[b]!; i < offsets[b + 1]!; i++) rowAt.set(positions[i]!, i);
    for (let i = offsets[b]!; i < offsets[b + 1]!; i++) {
      for (let t = 0; t < width; t++)
        out[i * width + t] = rowAt.get(positions[i]! + t - radius) ?? -1;
    }
  }
  return out;
}
