import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { meanRows } from "../ops/mean-rows.ts";
import type { Tensor } from "../tensor.ts";
import { drop } from "./drop.ts";
import type { Norm } from "./norms.ts";
import type { Linear } from "./linear.ts";
import type { TokenBatch } from "./packed-batch.ts";

/** An encoder as its heads use it; see `Encoder`. */
export interface Backbone {
  forward(pass: ForwardPass, batch: TokenBatch): Tensor;
  firstRows(pass: ForwardPass, batch: TokenBatch): Tensor;
}

/** Reduces each sequence to one row: [B, C]. */
export type Pooling = (pass: ForwardPass, encoder: Backbone, batch: TokenBatch) => Tensor;

/** Each sequence's first token ([CLS] of most families); the last layer computes nothing else. */
export const firstToken: Pooling = (pass, encoder, batch) => encoder.firstRows(pass, batch);

/** The mean of each sequence's tokens. */
export const meanOfTokens: Pooling = (pass, encoder, batch) => {
  const { offsets } = batch;
  return meanRows(pass, { x: encoder.forward(pass, batch) }, { offsets });
};

/** Each sequence's last token. */
export const lastToken: Pooling = (pass, encoder, batch) => {
  const ids = pass.integers(batch.offsets.subarray(1).map((end) => end - 1));
  return gatherRows(pass, { table: encoder.forward(pass, batch) }, { ids });
};

/** The parts of a head with one output per sequence. */
export interface PooledHeadParts {
  readonly encoder: Backbone;
  /** Default: `firstToken`. */
  readonly pooling?: Pooling;
  /** The layer before the output, with its activation; absent where the output is all. */
  readonly dense?: Linear | undefined;
  readonly activation?: ActivationKind;
  /** Behind the activation. */
  readonly norm?: Norm | undefined;
  /** [labels, C] */
  readonly output: Linear;
  readonly dropout: {
    /** Before `dense`, for families that have it. */
    readonly pooled?: number;
    /** Before `output`. */
    readonly output: number;
  };
}

/** Classification and regression: one row per sequence to logits, [B, labels]. */
export class PooledHead {
  readonly #parts: PooledHeadParts;

  constructor(parts: PooledHeadParts) {
    checkDense(parts);
    this.#parts = parts;
  }

  forward(pass: ForwardPass, batch: TokenBatch): Tensor {
    const { encoder, pooling = firstToken, dense, activation, norm, output } = this.#parts;
    const { dropout } = this.#parts;
    let x = pooling(pass, encoder, batch);
    if (dropout.pooled !== undefined) x = drop(pass, x, dropout.pooled);
    if (dense) x = dense.forward(pass, x, activation);
    if (norm) x = norm.forward(pass, x);
    return output.forward(pass, drop(pass, x, dropout.output));
  }
}

/** The parts of a head for questions. */
export interface SpanHeadParts {
  readonly encoder: Backbone;
  /** The layer before the output, with its activation; absent where the output is all. */
  readonly dense?: Linear | undefined;
  readonly activation?: ActivationKind;
  /** Behind the activation. */
  readonly norm?: Norm | undefined;
  /** [2, C] */
  readonly output: Linear;
  /** Before `output`, for families that have it. */
  readonly dropout?: number;
}

/** Questions: the logits of an answer's start and end for each token, [N, 2]. */
export class SpanHead {
  readonly #parts: SpanHeadParts;

  constructor(parts: SpanHeadParts) {
    checkDense(parts);
    this.#parts = parts;
  }

  forward(pass: ForwardPass, batch: TokenBatch): Tensor {
    const { encoder, dense, activation, norm, output, dropout } = this.#parts;
    let x = encoder.forward(pass, batch);
    if (dense) x = dense.forward(pass, x, activation);
    if (norm) x = norm.forward(pass, x);
    return output.forward(pass, dropout === undefined ? x : drop(pass, x, dropout));
  }
}

// --- internal ---

/** An activation is that of `dense`: alone it would have no effect. */
function checkDense({ dense, activation }: Pick<PooledHeadParts, "dense" | "activation">): void {
  invariant(
    dense || !activation,
    () => `a head with the activation "${activation}" needs \`dense\``,
  );
}
