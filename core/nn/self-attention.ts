import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { attention } from "../ops/attention.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchRows } from "./batch-rows.ts";
import type { Linear } from "./linear.ts";

/** The attention of an encoder layer, output projection included, without residual and norm. */
export interface Attention<Shared = undefined> {
  /**
   * x: [N, C]; `queries`: the rows that attend, x itself or the first tokens' rows of x, [B, C].
   * Returns a row per query.
   */
  forward(pass: ForwardPass, queries: Tensor, x: Tensor, rows: BatchRows<Shared>): Tensor;
}

/** The parts of multi-head self-attention. */
export interface SelfAttentionParts {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly heads: number;
  /** Dropout probability of the attention weights. */
  readonly dropout: number;
}

/** Multi-head self-attention in both directions (Vaswani et al. 2017). */
export class SelfAttention implements Attention<unknown> {
  readonly #parts: SelfAttentionParts;
  readonly #headDim: number;

  constructor(parts: SelfAttentionParts) {
    const { query, heads } = parts;
    invariant(
      query.outFeatures % heads === 0,
      () => `${query.path}: ${query.outFeatures} features do not split into ${heads} heads`,
    );
    this.#parts = parts;
    this.#headDim = query.outFeatures / heads;
  }

  forward(pass: ForwardPass, queries: Tensor, x: Tensor, rows: BatchRows<unknown>): Tensor {
    const { query, key, value, output, heads, dropout } = this.#parts;
    const q = query.forward(pass, queries);
    const k = key.forward(pass, x);
    const v = value.forward(pass, x);
    const shape = {
      queries: rows.firsts?.rows ?? rows.packing,
      keys: rows.packing,
      heads,
      headDim: this.#headDim,
      scale: Math.sqrt(this.#headDim),
      causal: false,
      dropout: pass.nextDropout(dropout),
    };
    return output.forward(pass, attention(pass, { q, k, v }, { shape }));
  }
}
