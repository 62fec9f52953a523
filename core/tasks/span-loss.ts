import type { ForwardPass } from "../forward-pass.ts";
import type { Model } from "../model/plugin.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import { paddedPositions } from "../nn/padding.ts";
import { gatherRows } from "../ops/gather-rows.ts";
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
    const { rows, offsets, rowOf, times, order } = layoutOf(batch, logits.shape[0] ?? 0);
    const targets = [batch.starts, batch.ends].flatMap((positions) =>
      Array.from(positions, (position, b) => targetRow(rows[b], Math.max(0, position))),
    );
    const shape = {
      sequences: rows.length,
      rows: logits.shape[0] ?? 0,
      offsets: pass.integers(offsets),
      padding: pass.integers([...rowOf, ...times]),
    };
    const ordered = order
      ? gatherRows(pass, { table: logits }, { ids: pass.integers(order) })
      : logits;
    return spanLoss(pass, { logits: ordered }, { targets: pass.integers(targets), shape });
  };
}

// --- internal ---

/** Where the loss finds each position's logits. */
interface SpanLayout {
  /** [B]: the row of each position of a sequence, by position; -1 for none. */
  readonly rows: readonly Int32Array[];
  readonly offsets: Int32Array;
  /** [B]: the row that stands for a sequence's padding, -1 for none, and how often it counts. */
  readonly rowOf: Int32Array;
  readonly times: Int32Array;
  /** The model's row of each row of the loss; undefined if they are the same. */
  readonly order: Int32Array | undefined;
}

/**
 * The model's rows are the tokens, then either one row per padded sequence or one per padded
 * position, sequence by sequence. The latter move behind their tokens.
 */
function layoutOf(batch: SpanBatch, rows: number): SpanLayout {
  const sequences = batch.offsets.length - 1;
  const padding = batch.padding ?? new Int32Array(sequences);
  const all = batch.offsets[sequences]! + padding.reduce((sum, times) => sum + times, 0);
  const perSequence = batch.offsets[sequences]! + padding.filter((times) => times > 0).length;
  return rows === all && all !== perSequence
    ? positionLayout(batch, padding)
    : sequenceLayout(batch, padding);
}

function sequenceLayout(batch: SpanBatch, padding: Int32Array): SpanLayout {
  const { offsets } = batch;
  let next = offsets[padding.length]!;
  const rowOf = padding.map((times) => (times > 0 ? next++ : -1));
  const empty = paddedPositions(batch, padding);
  let at = 0;
  const rows = Array.from(padding, (times, b) => {
    const own = tokenRows(batch, b, { first: offsets[b]!, times });
    for (let i = 0; i < times; i++) own[empty[at++]!] = rowOf[b]!;
    return own;
  });
  return { rows, offsets, rowOf, times: padding, order: undefined };
}

function positionLayout(batch: SpanBatch, padding: Int32Array): SpanLayout {
  const offsets = batch.offsets.map(
    (offset, b) => offset + padding.subarray(0, b).reduce((sum, times) => sum + times, 0),
  );
  const sequences = padding.length;
  const order = new Int32Array(offsets[sequences]!);
  const empty = paddedPositions(batch, padding);
  let at = 0;
  const rows = Array.from(padding, (times, b) => {
    const own = tokenRows(batch, b, { first: offsets[b]!, times });
    const [first, length] = [batch.offsets[b]!, batch.offsets[b + 1]! - batch.offsets[b]!];
    for (let i = 0; i < length; i++) order[offsets[b]! + i] = first + i;
    for (let i = 0; i < times; i++, at++) {
      const row = offsets[b]! + length + i;
      order[row] = batch.offsets[sequences]! + at;
      own[empty[at]!] = row;
    }
    return own;
  });
  const none = new Int32Array(sequences);
  return { rows, offsets, rowOf: none.map(() => -1), times: none, order };
}

/**
 * The rows of a sequence's tokens by their positions, -1 for others. `first`: the row of its first
 * token; `times`: its padded positions, for which there is room.
 */
function tokenRows(
  { offsets, positions }: SpanBatch,
  b: number,
  { first, times }: { first: number; times: number },
): Int32Array {
  const own = positions.subarray(offsets[b], offsets[b + 1]);
  let size = own.length + times;
  for (const position of own) size = Math.max(size, position + 1);
  const rows = new Int32Array(size).fill(-1);
  for (let i = 0; i < own.length; i++) rows[own[i]!] = first + i;
  return rows;
}

/** The row of a position, or -1 beyond the padded width. */
const targetRow = (rows: Int32Array | undefined, position: number): number =>
  rows?.[position] ?? -1;
