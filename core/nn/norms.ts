import type { ForwardPass } from "../forward-pass.ts";
import { addLayerNorm } from "../ops/add-layer-norm.ts";
import { rmsNorm } from "../ops/rms-norm.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** A normalization of rows: [N, C] to [N, C]. */
export interface Norm {
  forward(pass: ForwardPass, x: Tensor): Tensor;
}

/** A normalization that also adds a residual, in one pass over memory. */
export interface ResidualNorm extends Norm {
  /** norm(residual + dropout(x)). Overwrites x, which must have no other reader. */
  add(pass: ForwardPass, x: Tensor, residual: Tensor, dropout: number): Tensor;
}

/** A LayerNorm over C features. Its parameters are [C] each. */
export class LayerNorm implements ResidualNorm {
  readonly weight: Parameter;
  /** Absent in families whose norms have none. */
  readonly bias: Parameter | undefined;
  readonly eps: number;

  constructor(weight: Parameter, bias: Parameter | undefined, eps: number) {
    this.weight = weight;
    this.bias = bias;
    this.eps = eps;
  }

  forward(pass: ForwardPass, x: Tensor): Tensor {
    const { weight, bias, eps } = this;
    return addLayerNorm(pass, { x, weight, bias }, { eps });
  }

  add(pass: ForwardPass, x: Tensor, residual: Tensor, dropout: number): Tensor {
    const { weight, bias, eps } = this;
    const attrs = { eps, dropout: pass.nextDropout(dropout) };
    return addLayerNorm(pass, { x, residual, weight, bias }, attrs);
  }
}

/** x / sqrt(mean(x^2) + eps) * weight over C features. weight: [C]. */
export class RMSNorm implements Norm {
  readonly weight: Parameter;
  readonly eps: number;

  constructor(weight: Parameter, eps: number) {
    this.weight = weight;
    this.eps = eps;
  }

  forward(pass: ForwardPass, x: Tensor): Tensor {
    return rmsNorm(pass, { x, weight: this.weight }, { eps: this.eps });
  }
}
