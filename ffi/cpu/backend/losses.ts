import type { Backend } from "../../../core/backend.ts";
import { floats, integers, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { I, L, openKernels, P } from "./kernels.ts";

type Losses = Pick<Backend, "crossEntropy" | "meanSquaredError" | "spanLoss">;

/** kernels/losses.c */
export const LOSS_KERNELS = {
  adl_cross_entropy_f32: { args: [P, P, P, P, L, L], returns: I },
  adl_mean_squared_error_f32: { args: [P, P, P, P, L], returns: I },
  adl_span_loss_f32: { args: [P, P, P, P, L, L, P, P], returns: I },
} as const;

export function losses({ library }: CpuContext): Losses {
  const kernels = openKernels(library, LOSS_KERNELS);
  return {
    crossEntropy(logits, labels, loss, dlogits, rows, classes) {
      const [from, at] = [floats(logits, rows * classes), integers(labels, rows)];
      const [sum, to] = [target(loss, 1), target(dlogits, rows * classes)];
      kernels.adl_cross_entropy_f32(from, at, sum, to, rows, classes);
    },
    spanLoss(logits, targets, loss, dlogits, { sequences, rows, offsets, padding }) {
      kernels.adl_span_loss_f32(
        floats(logits, 2 * rows),
        integers(targets, 2 * sequences),
        target(loss, 1),
        target(dlogits, 2 * rows),
        sequences,
        rows,
        integers(offsets, sequences + 1),
        integers(padding, 2 * sequences),
      );
    },
    meanSquaredError(prediction, wanted, loss, dprediction, rows) {
      const [from, want] = [floats(prediction, rows), floats(wanted, rows)];
      kernels.adl_mean_squared_error_f32(
        from,
        want,
        target(loss, 1),
        target(dprediction, rows),
        rows,
      );
    },
  };
}
