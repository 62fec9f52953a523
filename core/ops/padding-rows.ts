import type { Buffer } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";

/**
 * What a padded position attends to: in the authors' fork nothing ("zero"), in transformers 5 every position of its row alike
 * ("uniform"), since there a fully masked row of scores is constant.
 */
export type PaddedQueries = "zero" | "uniform";

/**
 * Padding is not computed, with one exception: where the span loss lets padded positions take part in its softmax. All padded
 * positions of a sequence are equal, so one row below the packed ones stands for them, with their number.
 */
export interface PaddingRows {
  /** Sequences with padding: rows below the packed tokens. */
  readonly count: number;
  /** [B]: the row of each sequence's padding, -1 for none. */
  readonly rowOf: Int32Array;
  /** [B]: how many positions it stands for. */
  readonly times: Int32Array;
  /** [count, N + count]: weight of each row's v in what a padding row sees; undefined where that is nothing. */
  readonly mix: Buffer | undefined;
}

/** `padding` [B]: positions that each sequence lacks. Undefined where no sequence lacks any. */
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
