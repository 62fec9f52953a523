import { openCheckpoint } from "../io/checkpoint-files.ts";
import type { PaddedQueries } from "../nn/padding-rows.ts";

/** What padding attends to: as said, or, "auto", as the authors' code has it wherever that can be computed. */
export type PaddedQueriesWish = PaddedQueries | "auto" | undefined;

/**
 * What padding attends to in the model of a folder. "auto" is nothing, as in the authors' code, if the model was pretrained. Before that
 * all its biases are zero, and so is a row of padding that sees nothing, in every layer: the derivative of each layer norm is
 * eps^-1/2 there, and the product over twelve layers overflows.
 */
export function paddedQueriesOf(wish: PaddedQueriesWish, dir: string): PaddedQueries | undefined {
  if (wish !== "auto") return wish;
  return isPretrained(dir) ? "zero" : "uniform";
}

/** What is to be said of a choice that the model forced. */
export function paddingRemarks(wish: PaddedQueriesWish, dir: string): readonly string[] {
  if (wish !== "auto" || paddedQueriesOf(wish, dir) === "zero") return [];
  return [
    "the model's biases are all zero, as before pretraining: padding has its say as with --span-padding uniform",
  ];
}

// --- internal ---

/** Whether a bias of the checkpoint is not zero: the first one, wherever there was any training. */
function isPretrained(dir: string): boolean {
  return [...openCheckpoint(dir).tensors].some(
    ([name, { bytes }]) => name.endsWith("bias") && bytes.some((byte) => byte !== 0),
  );
}
