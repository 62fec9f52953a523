import type { Adapter } from "./adapter.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import { linear } from "../ops/linear.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** A linear layer, y = f(x W^T + bias), with an adapter's increment once one is attached. */
export class Linear {
  /** Dotted path of the module, as in the checkpoint. */
  readonly path: string;
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  adapter: Adapter | undefined;

  constructor(path: string, weight: Parameter, bias: Parameter | undefined) {
    this.path = path;
    this.weight = weight;
    this.bias = bias;
  }

  get inFeatures(): number {
    return this.weight.shape[1] ?? 0;
  }

  get outFeatures(): number {
    return this.weight.shape[0] ?? 0;
  }

  /** x: [N, in]; returns [N, out]. */
  forward(pass: ForwardPass, x: Tensor, activation?: ActivationKind): Tensor {
    const { weight, bias, adapter } = this;
    pass.onInput?.(this.path, x);
    if (!adapter) return linear(pass, { x, weight, bias }, { activation });
    const { a, e, b, scale } = adapter;
    const dropout = adapter.dropout > 0 ? pass.nextDropout(adapter.dropout) : undefined;
    return linear(pass, { x, weight, bias, a, e, b }, { scale, dropout, activation });
  }
}
