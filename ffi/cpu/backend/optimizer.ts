import type { Backend } from "../../../core/backend.ts";
import type { AdamWStep, Importance } from "../../../core/kernels/training.ts";
import { floats, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";

type Optimizer = Pick<Backend, "sumOfSquares" | "clipByNorm" | "adamw">;

/** kernels/optimizer.c */
export const OPTIMIZER_KERNELS = {
  adl_sum_of_squares: { args: [P, P, L], returns: I },
  adl_clip_by_norm: { args: [P, P, F, P, L], returns: I },
  adl_adamw: { args: [P, P, P, P, L, P, P, P, P], returns: I },
} as const;

/** struct adl_adamw_step, made in double, so that 1 - beta keeps its digits. */
function stepFields(s: AdamWStep): Float32Array {
  const { beta1, beta2, eps } = s;
  const correction1 = 1 - beta1 ** s.t;
  const correction2 = Math.sqrt(1 - beta2 ** s.t);
  const decay = 1 - s.lr * s.weightDecay;
  const [stepSize, rootFactor, before, after] =
    s.variant === "adamw"
      ? [s.lr / correction1, 1 / correction2, decay, 1]
      : [(s.lr * correction2) / correction1, 1, 1, decay];
  const moments = [beta1, 1 - beta1, beta2, 1 - beta2];
  return Float32Array.of(...moments, eps, stepSize, rootFactor, before, after);
}

/** struct adl_smoothing */
const smoothingFields = ({ beta1, beta2 }: Importance) =>
  Float32Array.of(beta1, 1 - beta1, beta2, 1 - beta2);

export function optimizer({ library }: CpuContext): Optimizer {
  const kernels = openKernels(library, OPTIMIZER_KERNELS, "f32");
  return {
    sumOfSquares(x, sum) {
      kernels.adl_sum_of_squares(floats(x, x.length), target(sum, 1), x.length);
    },
    clipByNorm(grad, sumOfSquares, maxNorm, norm) {
      const [to, sum] = [target(grad, grad.length), floats(sumOfSquares, 1)];
      kernels.adl_clip_by_norm(to, sum, maxNorm, target(norm, 1), grad.length);
    },
    adamw(param, grad, m, v, step, importance) {
      const n = param.length;
      kernels.adl_adamw(
        target(param, n),
        floats(grad, n),
        target(m, n),
        target(v, n),
        n,
        stepFields(step),
        optionalTarget(importance?.sensitivity, n),
        optionalTarget(importance?.uncertainty, n),
        importance ? smoothingFields(importance) : null,
      );
    },
  };
}
