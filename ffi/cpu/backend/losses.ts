import type { Backend } from "../../../core/backend.ts";
import { floats, integers, elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { I, L, P, typedKernels } from "./kernels.ts";

type Losses = Pick<Backend, "crossEntropy" | "meanSquaredError" | "spanLoss">;

/** kernels/losses.c */
export const LOSS_KERNELS = {
  adl_cross_entropy: { args: [P, P, P, P, L, L], returns: I },
  adl_mean_squared_error: { args: [P, P, P, P, L], returns: I },
  adl_span_loss: { args: [P, P, P, P, L, L, P, P], returns: I },
} as const;

/** Loss entries. */
export function losses({ library }: CpuContext): Losses {
  const kernels = typedKernels(library, LOSS_KERNELS);
  return {
    crossEntropy(logits, labels, loss, dlogits, rows, classes) {
      const [n, type] = [rows * classes, typeOf(logits)];
      const [from, at] = [elements(logits, n, type), integers(labels, rows)];
      const [sum, to] = [target(loss, 1), target(dlogits, n, type)];
      kernels(type).adl_cross_entropy(from, at, sum, to, rows, classes);
    },
    spanLoss(logits, targets, loss, dlogits, { sequences, rows, offsets, padding }) {
      const type = typeOf(logits);
      kernels(type).adl_span_loss(
        elements(logits, 2 * rows, type),
        integers(targets, 2 * sequences),
        target(loss, 1),
        target(dlogits, 2 * rows, type),
        sequences,
        rows,
        integers(offsets, sequences + 1),
        integers(padding, 2 * sequences),
      );
    },
    meanSquaredError(prediction, targets, loss, dprediction, rows) {
      const type = typeOf(prediction);
      const [from, expected] = [elements(prediction, rows, type), floats(targets, rows)];
      kernels(type).adl_mean_squared_error(
        from,
        expected,
        target(loss, 1),
        target(dprediction, rows, type),
        rows,
      );
    },
  };
}
