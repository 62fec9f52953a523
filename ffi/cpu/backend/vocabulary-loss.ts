import type { Backend } from "../../../core/backend.ts";
import { floats, integers, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";

/** kernels/vocabulary-loss.c */
export const VOCABULARY_LOSS_KERNELS = {
  adl_add_vocabulary_loss_f32: { args: [P, P, P, P, P, L, L, F, F], returns: I },
} as const;

export function vocabularyLoss({ library }: CpuContext): Pick<Backend, "addVocabularyLoss"> {
  const kernels = openKernels(library, VOCABULARY_LOSS_KERNELS);
  return {
    addVocabularyLoss(logits, bias, labels, loss, dlogits, { rows, classes, smoothing, weight }) {
      kernels.adl_add_vocabulary_loss_f32(
        floats(logits, rows * classes),
        floats(bias, classes),
        integers(labels, rows),
        target(loss, 1),
        optionalTarget(dlogits, rows * classes),
        rows,
        classes,
        smoothing,
        weight,
      );
    },
  };
}
