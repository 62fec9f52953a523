import { openCheckpoint } from "../io/checkpoint-files.ts";
import type { StoredTensor } from "../io/stored-tensor.ts";
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
 * in the authors' code) if the model's layers have biases other than 0. Without, as before
 * pretraining or in a bias-free family, a padding row that attends to nothing is 0 in every layer:
 * each norm's derivative is eps^-1/2 there, and the product over twelve layers overflows. Reads the
 * checkpoint for "auto" only.
 */
export function resolvePadding(option: PaddedQueriesOption, dir: string): ResolvedPadding {
  if (option !== "auto") return { paddedQueries: option, warnings: [] };
  const biases = layerBiases(dir);
  // Training leaves a bias that is not 0 early in the file.
  if (biases.some(({ bytes }) => bytes.some((byte) => byte !== 0))) {
    return { paddedQueries: "zero", warnings: [] };
  }
  const reason =
    biases.length === 0
      ? "the model's layers have no biases"
      : "the model's biases are all zero, as before pretraining";
  const warning = `${reason}: --span-padding is uniform instead of zero`;
  return { paddedQueries: "uniform", warnings: [warning] };
}

// --- internal ---

/** The biases of a checkpoint's numbered layers; all biases of one without such. */
function layerBiases(dir: string): readonly StoredTensor[] {
  const all = [...openCheckpoint(dir).tensors];
  const layers = all.filter(([name]) => /\.\d+\./.test(name));
  return (layers.length > 0 ? layers : all).flatMap(([name, tensor]) =>
    name.endsWith("bias") ? [tensor] : [],
  );
}
