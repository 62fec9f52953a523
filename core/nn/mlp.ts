import type { ForwardPass } from "../forward-pass.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import type { Tensor } from "../tensor.ts";
import { drop } from "./drop.ts";
import type { Linear } from "./linear.ts";

/** A layer's feed-forward block, without residual and norm: [N, C] to [N, C]. */
export interface FeedForward {
  forward(pass: ForwardPass, x: Tensor): Tensor;
}

/** The parts of a plain feed-forward block. */
export interface MlpParts {
  readonly up: Linear;
  readonly down: Linear;
  readonly activation: ActivationKind;
  /** Dropout probability behind the activation, for families that have it. */
  readonly dropout?: number | undefined;
}

/** down(dropout(f(up(x)))). */
export class Mlp implements FeedForward {
  readonly #parts: MlpParts;

  constructor(parts: MlpParts) {
    this.#parts = parts;
  }

  forward(pass: ForwardPass, x: Tensor): Tensor {
    const { up, down, activation, dropout } = this.#parts;
    const intermediate = up.forward(pass, x, activation);
    const dropped = dropout === undefined ? intermediate : drop(pass, intermediate, dropout);
    return down.forward(pass, dropped);
  }
}
