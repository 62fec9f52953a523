import { ignoredLabel } from "../kernels/losses.ts";
import { type TokenBatch, packSequences } from "./packed-batch.ts";

/** Packed sources and their packed targets: target sequence b belongs to source sequence b. */
export interface SourceTargetBatch extends TokenBatch {
  readonly target: TokenBatch;
}

/** Decoder inputs and their labels. */
export interface PackedTargets {
  readonly target: TokenBatch;
  /** [target rows]: the next token of each row, or `ignoredLabel`. */
  readonly labels: Int32Array;
  /** The number of labels that are not ignored. */
  readonly weight: number;
}

/**
 * Builds decoder inputs from labels for teacher forcing: each target is shifted right by one and
 * begins with `start`, so each row predicts its label. Ignored labels at the end get no row; an
 * ignored label before the end is read as `pad`, and its row does not count in the loss.
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
