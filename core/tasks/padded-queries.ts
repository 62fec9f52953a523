import { openCheckpoint } from "../io/checkpoint-files.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";

/** What padding attends to; "auto" follows the authors' code wherever its gradients stay finite. */
export type PaddedQueriesOption = PaddedQueries | "auto" | undefined;

/** The resolved choice, and a warning where the model forced it. */
export interface ResolvedPadding {
  readonly paddedQueries: PaddedQueries | undefined;
  readonly warnings: readonly string[];
}

/**
 * Resolves what padding attends to in the model of a folder. "auto" resolves to "zero" (nothing, as
 * in the authors' code) if the model is pretrained. In an untrained model all biases are zero,
 * hence so is a padding row that attends to nothing, in every layer: each layer norm's derivative
 * is eps^-1/2 there, and the product over twelve layers overflows. Reads the checkpoint for "auto"
 * only.
 */
export function resolvePadding(option: PaddedQueriesOption, dir: string): ResolvedPadding {
  if (option !== "auto") return { paddedQueries: option, warnings: [] };
  if (isPretrained(dir)) return { paddedQueries: "zero", warnings: [] };
  const warning =
    "the model's biases are all zero, as before pretraining: --span-padding is uniform instead of zero";
  return { paddedQueries: "uniform", warnings: [warning] };
}

// --- internal ---

/**
 * Whether the checkpoint has a nonzero bias. Stops at the first, which training leaves early in the
 * file.
 */
function isPretrained(dir: string): boolean {
  return [...openCheckpoint(dir).tensors].some(
    ([name, { bytes }]) => name.endsWith("bias") && bytes.some((byte) => byte !== 0),
  );
}
