import type { Backend } from "../../../core/backend.ts";
import { floats, integers, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, P, typedKernels } from "./kernels.ts";

/** kernels/vocabulary-loss.c */
export const VOCABULARY_LOSS_KERNELS = {
  adl_add_vocabulary_loss: { args: [P, P, P, P, P, L, L, F, F], returns: I },
} as const;

/** The loss over large vocabularies. */
export function vocabularyLoss({ library }: CpuContext): Pick<Backend, "addVocabularyLoss"> {
  const kernels = typedKernels(library, VOCABULARY_LOSS_KERNELS);
  return {
    addVocabularyLoss(logits, bias, labels, loss, dlogits, { rows, classes, smoothing, weight }) {
      const type = dlogits === undefined ? "f32" : typeOf(dlogits);
      kernels(type).adl_add_vocabulary_loss(
        floats(logits, rows * classes),
        floats(bias, classes),
        integers(labels, rows),
        target(loss, 1),
        optionalTarget(dlogits, rows * classes, type),
        rows,
        classes,
        smoothing,
        weight,
      );
    },
  };
}
