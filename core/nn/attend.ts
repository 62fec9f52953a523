import type { ForwardPass } from "../forward-pass.ts";
import type { AttentionShape } from "../kernels/attention.ts";
import { appendZeroRows, concatRows, firstRows } from "../ops/append-zero-rows.ts";
import { attention } from "../ops/attention.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchRows } from "./batch-rows.ts";

/** Queries, keys and values of a batch's rows; queries of first tokens only if the layer says so. */
interface Projections {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** How the rows of a batch attend to each other. */
export type AttendShape = Omit<
  AttentionShape,
  "queries" | "keys" | "scale" | "causal" | "dropout"
> & {
  /** Dropout probability of the attention weights. */
  readonly dropout: number;
};

/**
 * Attention among the tokens of each sequence, in both directions, scaled by sqrt(headDim). Padding
 * rows attend to their sequence's tokens or to nothing; no row attends to them. Returns a row for
 * each query.
 */
export function attend(
  pass: ForwardPass,
  { q, k, v }: Projections,
  { packing, firsts, padding }: BatchRows<unknown>,
  { dropout, ...heads }: AttendShape,
): Tensor {
  const shape = (queries: AttentionShape["queries"]): AttentionShape => ({
    ...heads,
    queries,
    keys: packing,
    scale: Math.sqrt(heads.headDim),
    causal: false,
    dropout: pass.nextDropout(dropout),
  });
  if (!padding) return attention(pass, { q, k, v }, { shape: shape(firsts?.rows ?? packing) });
  const tokens = (x: Tensor) => firstRows(pass, { x }, { rows: packing.tokens });
  const [keys, values] = [tokens(k), tokens(v)];
  const x = attention(pass, { q: tokens(q), k: keys, v: values }, { shape: shape(packing) });
  const { queries, count } = padding;
  if (!queries) return appendZeroRows(pass, { x }, { rows: count });
  const padded = gatherRows(pass, { table: q }, { ids: queries.ids });
  const below = attention(pass, { q: padded, k: keys, v: values }, { shape: shape(queries.rows) });
  return concatRows(pass, { x, below }, {});
}
