import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Sequences } from "../kernels/attention.ts";

/**
 * What a padded position attends to. "zero": nothing, as in the authors' fork. "uniform": as
 * transformers 5 computes it, that is every position of its sequence equally where a family masks
 * queries too (a fully masked row of scores is constant), else the tokens, as any query.
 */
export type PaddedQueries = "zero" | "uniform";

/** Rows of a batch, with a packing of their own. */
export interface SelectedRows {
  /** i32: their indices. */
  readonly ids: Buffer;
  /** Which of them belong to each sequence. */
  readonly rows: Sequences;
}

/**
 * Padding is never computed, with one exception: the span loss includes padded positions in its
 * softmax. Their rows follow the packed ones, sequence by sequence. Where all padded positions of a
 * sequence are equal, one row stands for them, with their count.
 */
export interface PaddingRows {
  /** The number of padding rows. */
  readonly count: number;
  /** [B]: the first padding row of each sequence, -1 for none. */
  readonly rowOf: Int32Array;
  /** [count, N + count]: attention weights of the padding rows; undefined if they are all 0. */
  readonly mix: Buffer | undefined;
  /** The padding rows as queries that attend to the tokens; each then is one position. */
  readonly queries: SelectedRows | undefined;
}

/**
 * One padding row per sequence with padding, for queries that are masked; `padding` [B]: padded
 * positions. Undefined if there are none.
 */
export function paddingRows(
  pass: ForwardPass,
  { offsets }: { readonly offsets: Int32Array },
  padding: Int32Array,
  queries: PaddedQueries,
): PaddingRows | undefined {
  const tokens = offsets[offsets.length - 1]!;
  let count = 0;
  const rowOf = padding.map((times) => (times > 0 ? tokens + count++ : -1));
  if (count === 0) return undefined;
  const rows = { count, rowOf, mix: undefined, queries: undefined };
  if (queries === "zero") return rows;
  const width = tokens + count;
  const weights = new Float64Array(count * width);
  rowOf.forEach((row, b) => {
    if (row < 0) return;
    const [from, to] = [offsets[b]!, offsets[b + 1]!];
    const share = 1 / (to - from + padding[b]!);
    const at = (row - tokens) * width;
    weights.fill(share, at + from, at + to);
    weights[at + row] = share * padding[b]!;
  });
  const mix = pass.allocate(weights.length);
  pass.backend.upload(mix, weights);
  return { ...rows, mix };
}

/**
 * One padding row per padded position, for queries that attend to the tokens; `padding` [B]: padded
 * positions. Undefined if there are none.
 */
export function attendingPaddingRows(
  pass: ForwardPass,
  { offsets }: { readonly offsets: Int32Array },
  padding: Int32Array,
): PaddingRows | undefined {
  const tokens = offsets[offsets.length - 1]!;
  const hostOffsets = new Int32Array(padding.length + 1);
  padding.forEach((times, b) => (hostOffsets[b + 1] = hostOffsets[b]! + times));
  const count = hostOffsets[padding.length]!;
  if (count === 0) return undefined;
  const ids = pass.integers(Int32Array.from({ length: count }, (_, i) => tokens + i));
  const sequences = padding.length;
  const rows = { sequences, tokens: count, offsets: pass.integers(hostOffsets), hostOffsets };
  return {
    count,
    rowOf: padding.map((times, b) => (times > 0 ? tokens + hostOffsets[b]! : -1)),
    mix: undefined,
    queries: { ids, rows },
  };
}
