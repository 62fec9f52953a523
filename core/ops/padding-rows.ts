import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";

/**
 * What a padded position attends to: nothing in the authors' fork ("zero"), every position of its
 * sequence equally in transformers 5 ("uniform"), where a fully masked row of scores is constant.
 */
export type PaddedQueries = "zero" | "uniform";

/**
 * Padding is never computed, with one exception: the span loss includes padded positions in its
 * softmax. All padded positions of a sequence are equal, so one row below the packed ones stands
 * for all of them, with their count.
 */
export interface PaddingRows {
  /** The number of padding rows: one per sequence with padding. */
  readonly count: number;
  /** [B]: the padding row of each sequence, -1 for none. */
  readonly rowOf: Int32Array;
  /** [B]: the number of positions that it stands for. */
  readonly times: Int32Array;
  /** [count, N + count]: attention weights of the padding rows; undefined if they are all 0. */
  readonly mix: Buffer | undefined;
}

/** The padding rows of a batch; `padding` [B]: padded positions. Undefined if there are none. */
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
  if (queries === "zero") return { count, rowOf, times: padding, mix: undefined };
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
  return { count, rowOf, times: padding, mix };
}
