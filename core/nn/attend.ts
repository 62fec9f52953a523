import type { ForwardPass } from "../forward-pass.ts";
import type { AttentionShape } from "../kernels/attention.ts";
import { appendZeroRows, concatRows, firstRows } from "../ops/append-zero-rows.ts";
import { attention } from "../ops/attention.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { Tensor } from "../tensor.ts";
import type { SelectedRows } from "../ops/padding-rows.ts";
import { attendNear, type NearQuery } from "./attend-near.ts";
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
  "queries" | "keys" | "scale" | "causal" | "dropout" | "rowStride"
> & {
  /** Dropout probability of the attention weights. */
  readonly dropout: number;
};

/**
 * Attention among the tokens of each sequence, in both directions, scaled by sqrt(headDim). Padding
 * rows attend to their sequence's tokens or to nothing; no row attends to them. Within a `window`,
 * a row attends to tokens at most as far from it. Returns a row for each query.
 */
export function attend(
  pass: ForwardPass,
  { q, k, v }: Projections,
  rows: BatchRows<unknown>,
  shape: AttendShape,
): Tensor {
  const { packing, firsts, padding } = rows;
  const among = (inputs: Projections) => {
    const attrs = { ...scaled(pass, shape), window: shape.window };
    return attention(pass, inputs, { shape: { ...attrs, queries: packing, keys: packing } });
  };
  if (!padding) {
    return firsts ? attendFrom(pass, { q, k, v }, firsts, rows, shape) : among({ q, k, v });
  }
  const tokens = (x: Tensor) => firstRows(pass, { x }, { rows: packing.tokens });
  const keys = { k: tokens(k), v: tokens(v) };
  const x = among({ q: tokens(q), ...keys });
  const { queries, count } = padding;
  if (!queries) return appendZeroRows(pass, { x }, { rows: count });
  const padded = gatherRows(pass, { table: q }, { ids: queries.ids });
  const below = attendFrom(pass, { q: padded, ...keys }, queries, rows, shape);
  return concatRows(pass, { x, below }, {});
}

// --- internal ---

/** The kernel's attributes besides rows and window. Takes one dropout site. */
function scaled(pass: ForwardPass, { dropout, window: _window, ...heads }: AttendShape) {
  const scale = Math.sqrt(heads.headDim);
  return { ...heads, scale, causal: false, dropout: pass.nextDropout(dropout) };
}

/** Attention of selected rows, first tokens or padding, to the tokens. */
function attendFrom(
  pass: ForwardPass,
  inputs: Projections,
  selected: SelectedRows,
  rows: BatchRows<unknown>,
  { window, ...shape }: AttendShape,
): Tensor {
  const { packing, hostPositions: positions } = rows;
  const attrs = scaled(pass, shape);
  if (window === undefined) {
    const packings = { queries: selected.rows, keys: packing };
    return attention(pass, inputs, { shape: { ...attrs, ...packings } });
  }
  const tokens = { packing, positions, window };
  return attendNear(pass, inputs, nearQueries(selected, rows), tokens, attrs);
}

/** The sequence and position of each selected row. */
function nearQueries(
  { rows: { hostOffsets } }: SelectedRows,
  { packing, firsts, hostPositions }: BatchRows<unknown>,
): readonly NearQuery[] {
  return Array.from({ length: hostOffsets.length - 1 }, (_, sequence) => {
    const [from, to] = [hostOffsets[sequence] ?? 0, hostOffsets[sequence + 1] ?? 0];
    // Padding rows follow the tokens.
    const first = firsts ? (packing.hostOffsets[sequence] ?? 0) : packing.tokens + from;
    const own = hostPositions.subarray(first, first + to - from);
    return Array.from(own, (position) => ({ sequence, position }));
  }).flat();
}
