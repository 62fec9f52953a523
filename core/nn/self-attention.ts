import type { Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { RotaryTables } from "../kernels/rotary.ts";
import { rotate } from "../ops/rotate.ts";
import type { Tensor } from "../tensor.ts";
import { attend } from "./attend.ts";
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
export interface SelfAttentionParts<Shared> {
  readonly query: Linear;
  /** Fewer heads than the queries where it and `value` are narrower (grouped queries). */
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly heads: number;
  /** The tables of a rotary position embedding, among what the encoder's layers share. */
  readonly rotary?: (shared: Shared) => RotaryTables;
  /** Dropout probability of the attention weights. */
  readonly dropout: number;
}

/** Multi-head self-attention in both directions (Vaswani et al. 2017). */
export class SelfAttention<Shared = unknown> implements Attention<Shared> {
  readonly #parts: SelfAttentionParts<Shared>;
  readonly #headDim: number;

  constructor(parts: SelfAttentionParts<Shared>) {
    const { query, heads } = parts;
    invariant(
      query.outFeatures % heads === 0,
      () => `${query.path}: ${query.outFeatures} features do not split into ${heads} heads`,
    );
    this.#parts = parts;
    this.#headDim = query.outFeatures / heads;
  }

  forward(pass: ForwardPass, queries: Tensor, x: Tensor, rows: BatchRows<Shared>): Tensor {
    const { query, key, value, output, heads, rotary, dropout } = this.#parts;
    const q = query.forward(pass, queries);
    const k = key.forward(pass, x);
    const v = value.forward(pass, x);
    const tables = rotary?.(rows.shared);
    const rotated = (tensor: Tensor, positions: Buffer) =>
      tables ? this.#rotate(pass, tensor, positions, tables) : tensor;
    const projections = {
      q: rotated(q, rows.firsts?.positions ?? rows.positions),
      k: rotated(k, rows.positions),
      v,
    };
    const headDim = this.#headDim;
    const shape = { heads, keyHeads: key.outFeatures / headDim, headDim, dropout };
    const context = attend(pass, projections, rows, shape);
    return output.forward(pass, context);
  }

  #rotate(pass: ForwardPass, x: Tensor, positions: Buffer, tables: RotaryTables): Tensor {
    const headDim = this.#headDim;
    return rotate(pass, { x }, { tables, positions, heads: (x.shape[1] ?? 0) / headDim, headDim });
  }
}
