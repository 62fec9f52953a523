import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { activation } from "../../core/ops/activation.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { dropout } from "../../core/ops/dropout.ts";
import { linear } from "../../core/ops/linear.ts";
import { unfold } from "../../core/ops/unfold.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import type { DebertaConfig } from "./config.ts";

/**
 * The convolution of v2-xlarge: y = LayerNorm(layer 1's output + act(dropout(conv(embeddings)))).
 */
export class DebertaConvolution {
  readonly #config: DebertaConfig;
  readonly #weight: Parameter;
  readonly #bias: Parameter;
  readonly #norm: LayerNorm;

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
    const windows = unfold(
      pass,
      { x },
      { neighbours: pass.integers(neighbours(batch, width)), width },
    );
    const mixed = linear(pass, { x: windows, weight: this.#weight, bias: this.#bias }, {});
    const mask = pass.nextDropout(p.hidden);
    const out = activation(
      pass,
      { x: mask ? dropout(pass, { x: mixed }, { dropout: mask }) : mixed },
      { kind },
    );
    const { weight: gain, bias, eps } = this.#norm;
    return addLayerNorm(pass, { x: out, residual, weight: gain, bias }, { eps });
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
