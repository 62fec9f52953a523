import type { Averages, Backend } from "../../../core/backend.ts";
import { floats, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, openSizes, P, SIZE } from "./kernels.ts";

type Allocator = Pick<
  Backend,
  "updateImportance" | "tripletScores" | "keepTop" | "applyMask" | "orthogonality"
>;

/** kernels/allocator.c */
export const ALLOCATOR_KERNELS = {
  adl_update_importance: { args: [P, P, P, P, L, F, F, F, F], returns: I },
  adl_triplet_scores: { args: [P, P, P, P, P, P, P, L, L, L, P], returns: I },
  adl_keep_top: { args: [P, L, L, P, P], returns: I },
  adl_apply_mask: { args: [P, P, L, L, I], returns: I },
  adl_orthogonality: { args: [P, P, P, L, L, I, F, F, P], returns: I },
} as const;

export const ALLOCATOR_SIZES = {
  adl_orthogonality_scratch: { args: [L, L], returns: SIZE },
} as const;

/** Sensitivity and uncertainty of n numbers; NULL for what the score leaves out. */
const scored = (averages: Averages | undefined, n: number, uncertainty: boolean) =>
  [
    averages === undefined ? null : floats(averages.sensitivity, n),
    averages === undefined || !uncertainty ? null : floats(averages.uncertainty, n),
  ] as const;

export function allocator({ library, scratch }: CpuContext): Allocator {
  const kernels = openKernels(library, ALLOCATOR_KERNELS, "f32");
  const sizes = openSizes(library, ALLOCATOR_SIZES);
  return {
    updateImportance(param, grad, { sensitivity, uncertainty }, beta1, beta2) {
      const n = param.length;
      kernels.adl_update_importance(
        floats(param, n),
        floats(grad, n),
        target(sensitivity, n),
        target(uncertainty, n),
        n,
        beta1,
        1 - beta1,
        beta2,
        1 - beta2,
      );
    },
    tripletScores(a, e, b, scores, { rank, inFeatures, outFeatures, uncertainty }) {
      kernels.adl_triplet_scores(
        ...scored(a, rank * inFeatures, uncertainty),
        ...scored(e, rank, uncertainty),
        ...scored(b, outFeatures * rank, uncertainty),
        target(scores, rank),
        rank,
        inFeatures,
        outFeatures,
        scratch(2 * rank),
      );
    },
    keepTop(scores, budget, kept, threshold) {
      const n = scores.length;
      const [from, to, limit] = [floats(scores, n), target(kept, n), target(threshold, 1)];
      kernels.adl_keep_top(from, n, budget, to, limit);
    },
    applyMask(param, kept, { rows, cols, columns }) {
      const [to, mask] = [target(param, rows * cols), floats(kept, columns ? cols : rows)];
      kernels.adl_apply_mask(to, mask, rows, cols, Number(columns));
    },
    orthogonality(factor, grad, norm, { rank, width, columns, weight, gradWeight }) {
      kernels.adl_orthogonality(
        floats(factor, rank * width),
        optionalTarget(grad, rank * width),
        target(norm, 1),
        rank,
        width,
        Number(columns),
        weight,
        gradWeight,
        scratch(Number(sizes.adl_orthogonality_scratch(rank, width))),
      );
    },
  };
}
