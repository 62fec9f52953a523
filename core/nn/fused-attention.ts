import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { RotaryTables } from "../kernels/rotary.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { reshape } from "../ops/reshape.ts";
import { rotate } from "../ops/rotate.ts";
import { selfAttention } from "../ops/self-attention.ts";
import type { Tensor } from "../tensor.ts";
import { attend, type AttendShape } from "./attend.ts";
import type { BatchRows } from "./batch-rows.ts";
import type { Linear } from "./linear.ts";
import type { Attention } from "./self-attention.ts";

/** The parts of self-attention with one layer for queries, keys and values. */
export interface FusedAttentionParts<Shared> {
  /** To [N, 3C]: queries, keys, values. */
  readonly qkv: Linear;
  readonly output: Linear;
  readonly heads: number;
  /** Dropout probability of the attention weights. */
  readonly dropout: number;
  /** Tokens that a token attends to on each side. Default: all. */
  readonly window?: number | undefined;
  /** Rotary tables of a batch, for families with rotary positions. */
  readonly rotation?: (shared: Shared) => RotaryTables | undefined;
}

/** Multi-head self-attention over one product of all three projections. */
export class FusedAttention<Shared = undefined> implements Attention<Shared> {
  readonly #parts: FusedAttentionParts<Shared>;
  readonly #headDim: number;

  constructor(parts: FusedAttentionParts<Shared>) {
    const { qkv, heads } = parts;
    invariant(
      qkv.outFeatures % (3 * heads) === 0,
      () => `${qkv.path}: ${qkv.outFeatures} features do not split into 3 times ${heads} heads`,
    );
    this.#parts = parts;
    this.#headDim = qkv.outFeatures / (3 * heads);
  }

  forward(pass: ForwardPass, _queries: Tensor, x: Tensor, rows: BatchRows<Shared>): Tensor {
    const { qkv, output, heads, dropout, window, rotation } = this.#parts;
    const headDim = this.#headDim;
    const tables = rotation?.(rows.shared);
    let fused = qkv.forward(pass, x);
    if (tables) {
      const { positions } = rows;
      // Queries and keys are the first two thirds of the columns.
      fused = rotate(pass, { x: fused }, { tables, positions, heads: 2 * heads, headDim });
    }
    return output.forward(
      pass,
      this.#attend(pass, fused, rows, { heads, headDim, dropout, window }),
    );
  }

  #attend(
    pass: ForwardPass,
    fused: Tensor,
    rows: BatchRows<Shared>,
    { dropout: probability, ...heads }: AttendShape,
  ): Tensor {
    const { packing, firsts, padding } = rows;
    if (!firsts && !padding) {
      const dropout = pass.nextDropout(probability);
      const shape = { ...heads, scale: Math.sqrt(heads.headDim), causal: false, dropout };
      return selfAttention(pass, { qkv: fused }, { packing, shape });
    }
    const [count = 0, width = 0] = fused.shape;
    // Row 3 n + i of [3N, C] is the query, key or value of token n.
    const table = reshape(pass, { x: fused }, { shape: [3 * count, width / 3] });
    const all = Array.from({ length: count }, (_, row) => row);
    const third = (i: number, of: readonly number[]) =>
      gatherRows(pass, { table }, { ids: pass.integers(of.map((row) => 3 * row + i)) });
    const { sequences, hostOffsets } = packing;
    const queries = firsts ? Array.from(hostOffsets.subarray(0, sequences)) : all;
    const inputs = { q: third(0, queries), k: third(1, all), v: third(2, all) };
    return attend(pass, inputs, rows, { ...heads, dropout: probability });
  }
}
