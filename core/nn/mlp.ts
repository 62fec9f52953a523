import type { ForwardPass } from "../forward-pass.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import { checkActivation } from "../ops/activation.ts";
import { gatedActivation } from "../ops/gated-activation.ts";
import type { Tensor } from "../tensor.ts";
import { drop } from "./drop.ts";
import { type Linear, projectAll } from "./linear.ts";

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
    checkActivation(parts.activation); // without one `up` would be linear
    this.#parts = parts;
  }

  forward(pass: ForwardPass, x: Tensor): Tensor {
    const { up, down, activation, dropout } = this.#parts;
    const intermediate = up.forward(pass, x, activation);
    const dropped = dropout === undefined ? intermediate : drop(pass, intermediate, dropout);
    return down.forward(pass, dropped);
  }
}

/** The parts of a gated feed-forward block. */
export interface GatedMlpParts {
  /** The activated projection (Llama's gate_proj), [F, C]; or without `gate` both, [2F, C]. */
  readonly up: Linear;
  /** The other factor (Llama's up_proj), [F, C]. */
  readonly gate?: Linear | undefined;
  readonly down: Linear;
  readonly activation: ActivationKind;
  /** Dropout probability behind the gate, for families that have it. */
  readonly dropout?: number | undefined;
}

/** down(dropout(f(up(x)) * gate(x))): GeGLU (ModernBERT) and SwiGLU (Llama). */
export class GatedMlp implements FeedForward {
  readonly #parts: GatedMlpParts;

  constructor(parts: GatedMlpParts) {
    this.#parts = parts;
  }

  forward(pass: ForwardPass, x: Tensor): Tensor {
    const { up, gate, down, activation: kind, dropout } = this.#parts;
    const [main, factor] = projectAll(pass, x, gate ? [up, gate] : [up]);
    const gated = gatedActivation(pass, { x: main, gate: factor }, { kind });
    return down.forward(pass, dropout === undefined ? gated : drop(pass, gated, dropout));
  }
}
