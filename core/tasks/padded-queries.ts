import { openCheckpoint } from "../io/checkpoint-files.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";

/** What padding attends to: as said, or, "auto", as the authors' code has it wherever that can be computed. */
export type PaddedQueriesOption = PaddedQueries | "auto" | undefined;

/** What padding attends to, settled, and what is to be said of a choice that the model forced. */
export interface ResolvedPadding {
  readonly paddedQueries: PaddedQueries | undefined;
  readonly warnings: readonly string[];
}

/**
 * What padding attends to in the model of a folder. "auto" is nothing, as in the authors' code, if the model was pretrained. Before that
 * all its biases are zero, and so is a row of padding that sees nothing, in every layer: the derivative of each layer norm is
 * eps^-1/2 there, and the product over twelve layers overflows. Looks through the checkpoint for "auto" alone.
 */
export function resolvePadding(option: PaddedQueriesOption, dir: string): ResolvedPadding {
  if (option !== "auto") return { paddedQueries: option, warnings: [] };
  if (isPretrained(dir)) return { paddedQueries: "zero", warnings: [] };
  const warning =
    "the model's biases are all zero, as before pretraining: padding has its say as with --span-padding uniform";
  return { paddedQueries: "uniform", warnings: [warning] };
}

// --- internal ---

/** Whether a bias of the checkpoint is not zero: the first one, wherever there was any training. */
function isPretrained(dir: string): boolean {
  return [...openCheckpoint(dir).tensors].some(
    ([name, { bytes }]) => name.endsWith("bias") && bytes.some((byte) => byte !== 0),
  );
}
