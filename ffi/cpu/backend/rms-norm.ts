import type { Backend } from "../../../core/backend.ts";
import { floats, elements, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openSizes, P, SIZE, typedKernels } from "./kernels.ts";

type RmsNorm = Pick<Backend, "rmsNorm" | "rmsNormBackward">;

/** kernels/rms-norm.c */
export const RMS_NORM_KERNELS = {
  adl_rms_norm: { args: [P, P, P, P, L, L, F], returns: I },
  adl_rms_norm_bwd: { args: [P, P, P, P, P, P, L, L, P], returns: I },
} as const;

/** Scratch sizes in floats. */
export const RMS_NORM_SIZES = {
  adl_rms_norm_bwd_scratch: { args: [L, L], returns: SIZE },
} as const;

/** Entries of root mean square normalisation. */
export function rmsNorm({ library, scratch }: CpuContext): RmsNorm {
  const kernels = typedKernels(library, RMS_NORM_KERNELS);
  const sizes = openSizes(library, RMS_NORM_SIZES);
  return {
    rmsNorm(x, weight, { y, rstd }, { rows, cols, eps }) {
      const [type, n] = [typeOf(x), rows * cols];
      const [from, factors] = [elements(x, n, type), floats(weight, cols)];
      const [to, scales] = [target(y, n, type), target(rstd, rows)];
      kernels(type).adl_rms_norm(from, factors, to, scales, rows, cols, eps);
    },
    rmsNormBackward(dy, x, weight, rstd, { dx, dweight }, { rows, cols }) {
      const [type, n] = [typeOf(x), rows * cols];
      kernels(type).adl_rms_norm_bwd(
        elements(dy, n, type),
        elements(x, n, type),
        floats(weight, cols),
        floats(rstd, rows),
        target(dx, n, type),
        optionalTarget(dweight, cols),
        rows,
        cols,
        scratch(Number(sizes.adl_rms_norm_bwd_scratch(rows, cols))),
      );
    },
  };
}
