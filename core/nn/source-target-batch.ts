import { ignoredLabel } from "../kernels/losses.ts";
import { type TokenBatch, packSequences } from "./packed-batch.ts";

/** Packed sources, and what is written of each: sequence b of the target belongs to sequence b of the source. */
export interface SourceTargetBatch extends TokenBatch {
  readonly target: TokenBatch;
}

export interface PackedTargets {
  readonly target: TokenBatch;
  /** [target rows], `ignoredLabel` where the loss leaves a row out. */
  readonly labels: Int32Array;
  /** Labels that count. */
  readonly weight: number;
}

/**
 * Targets as a decoder reads them: each begins with `start` and is moved right by one, so that the row of a token is to say the next
 * one, which is its label. Ignored labels at the end have no row; one before the end is read as `pad`, and its row's loss is left out.
 */
export function packTargets(
  targets: readonly ArrayLike<number>[],
  { start, pad }: { readonly start: number; readonly pad: number },
): PackedTargets {
  const rows = targets.map((labels) => {
    const all = Array.from(labels);
    return all.slice(0, all.findLastIndex((label) => label !== ignoredLabel) + 1);
  });
  const inputs = rows.map((labels) =>
    labels.map((_, t) => {
      const before = t === 0 ? start : labels[t - 1];
      return before === undefined || before === ignoredLabel ? pad : before;
    }),
  );
  const labels = Int32Array.from(rows.flat());
  const weight = labels.filter((label) => label !== ignoredLabel).length;
  return { target: packSequences(inputs), labels, weight };
}
