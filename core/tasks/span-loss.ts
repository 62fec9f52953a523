import type { ForwardPass } from "../forward-pass.ts";
import type { Model } from "../model/plugin.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import { spanLoss } from "../ops/losses.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Packed rows with each answer's first and last position. The loss ignores positions beyond the
 * padded width.
 */
export interface SpanBatch extends TokenBatch {
  /** [B], clamped to 0 from below, as in the reference. */
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
}

/**
 * Mean of start and end cross entropy over each sequence's positions, padding included if the batch
 * counts it.
 */
export function answerSpanLoss(model: Model): (pass: ForwardPass, batch: SpanBatch) => Tensor {
  return (pass, batch) => {
    const logits = model.forward(pass, batch);
    const { rowOf, times } = paddingOf(batch);
    const targets = [batch.starts, batch.ends].flatMap((positions) =>
      Array.from(positions, (position, b) => targetRow(batch, rowOf, b, Math.max(0, position))),
    );
    const shape = {
      sequences: rowOf.length,
      rows: logits.shape[0] ?? 0,
      offsets: pass.integers(batch.offsets),
      padding: pass.integers([...rowOf, ...times]),
    };
    return spanLoss(pass, { logits }, { targets: pass.integers(targets), shape });
  };
}

// --- internal ---

/**
 * The padding rows, which follow the packed rows, one per padded sequence, in order; -1 for none.
 */
function paddingOf({ offsets, padding }: SpanBatch): { rowOf: Int32Array; times: Int32Array } {
  const sequences = offsets.length - 1;
  const times = padding ?? new Int32Array(sequences);
  let next = offsets[sequences]!;
  return { rowOf: times.map((n) => (n > 0 ? next++ : -1)), times };
}

/** The row of a position: a token's, the padding row, or -1 beyond the padded width. */
function targetRow(
  { offsets, positions, padding }: SpanBatch,
  rowOf: Int32Array,
  b: number,
  position: number,
): number {
  const [from, to] = [offsets[b]!, offsets[b + 1]!];
  for (let row = from; row < to; row++) if (positions[row] === position) return row;
  const width = to - from + (padding?.[b] ?? 0);
  return position < width ? rowOf[b]! : -1;
}
