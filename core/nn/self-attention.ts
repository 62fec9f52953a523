import type { Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { RotaryTables } from "../kernels/rotary.ts";
import { rotate } from "../ops/rotate.ts";
import type { Tensor } from "../tensor.ts";
import { attend } from "./attend.ts";
import type { BatchRows } from "./batch-rows.ts";
import { type Linear, projectAll } from "./linear.ts";

/** The attention of an encoder layer, output projection included, without residual and norm. */
export interface Attention<Shared = undefined> {
  /**
   * x: [N, C]; `queries`: the rows that attend, x itself or the first tokens' rows of x, [B, C].
   * Returns a row per query.
   */
  forward(pass: ForwardPass, queries: Tensor, x: Tensor, rows: BatchRows<Shared>): Tensor;
}

/** The parts of multi-head self-attention. */
export interface SelfAttentionParts<Shared> {
  readonly query: Linear;
  /** With fewer outputs than `query`, heads share keys and values (grouped queries). */
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  /** Heads of queries. */
  readonly heads: number;
  /** Tokens that a token attends to on each side. Default: all. */
  readonly window?: number | undefined;
  /** The tables of a rotary position embedding, among what the encoder's layers share. */
  readonly rotary?: (shared: Shared) => RotaryTables;
  /** Dropout probability of the attention weights. */
  readonly dropout: number;
}

/**
 * Projects `queries` to q, and x to k and v; in one call where `queries` is x. Otherwise `queries`
 * has some of x's rows, such as first tokens.
 */
export function projectRows(
  pass: ForwardPass,
  queries: Tensor,
  x: Tensor,
  { query, key, value }: { query: Linear; key: Linear; value: Linear },
): { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor } {
  if (queries === x) {
    const [q, k, v] = projectAll(pass, x, [query, key, value]);
    return { q, k, v };
  }
  const q = query.forward(pass, queries);
  const [k, v] = projectAll(pass, x, [key, value]);
  return { q, k, v };
}

/** Multi-head self-attention in both directions (Vaswani et al. 2017). */
export class SelfAttention<Shared = unknown> implements Attention<Shared> {
  readonly #parts: SelfAttentionParts<Shared>;
  readonly #headDim: number;
  readonly #keyHeads: number;

  constructor(parts: SelfAttentionParts<Shared>) {
    const { query, key, heads } = parts;
    invariant(
      query.outFeatures % heads === 0,
      () => `${query.path}: ${query.outFeatures} features do not split into ${heads} heads`,
    );
    this.#parts = parts;
    this.#headDim = query.outFeatures / heads;
    this.#keyHeads = key.outFeatures / this.#headDim;
    invariant(
      Number.isInteger(this.#keyHeads) && heads % this.#keyHeads === 0,
      () =>
        `${key.path} must have heads of ${this.#headDim} features, a number that divides ${heads}: got ${key.outFeatures} features`,
    );
  }

  forward(pass: ForwardPass, queries: Tensor, x: Tensor, rows: BatchRows<Shared>): Tensor {
    const { output, heads, rotary, window, dropout } = this.#parts;
    const { q, k, v } = projectRows(pass, queries, x, this.#parts);
    const tables = rotary?.(rows.shared);
    const rotated = (tensor: Tensor, positions: Buffer) =>
      tables ? this.#rotate(pass, tensor, positions, tables) : tensor;
    const projections = {
      q: rotated(q, rows.firsts?.positions ?? rows.positions),
      k: rotated(k, rows.positions),
      v,
    };
    const shape = { heads, keyHeads: this.#keyHeads, headDim: this.#headDim, window, dropout };
    const context = attend(pass, projections, rows, shape);
    return output.forward(pass, context);
  }

  #rotate(pass: ForwardPass, x: Tensor, positions: Buffer, tables: RotaryTables): Tensor {
    const headDim = this.#headDim;
    return rotate(pass, { x }, { tables, positions, heads: (x.shape[1] ?? 0) / headDim, headDim });
  }
}
