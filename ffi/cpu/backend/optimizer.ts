import type { AdamWStep, Backend } from "../../../core/backend.ts";
import { floats, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";

type Optimizer = Pick<Backend, "sumOfSquares" | "clipByNorm" | "adamw">;

/** kernels/optimizer.c */
export const OPTIMIZER_KERNELS = {
  adl_sum_of_squares: { args: [P, P, L], returns: I },
  adl_clip_by_norm: { args: [P, P, F, P, L], returns: I },
  adl_adamw: { args: [P, P, P, P, L, F, F, F, F, F, F, F, F, F], returns: I },
} as const;

/** What adl_adamw takes after beta2: in double here, so that 1 - beta keeps its digits. */
function adamwFactors(s: AdamWStep) {
  const correction1 = 1 - s.beta1 ** s.t;
  const correction2 = Math.sqrt(1 - s.beta2 ** s.t);
  const decay = 1 - s.lr * s.weightDecay;
  return s.variant === "adamw"
    ? { stepSize: s.lr / correction1, rootFactor: 1 / correction2, before: decay, after: 1 }
    : { stepSize: (s.lr * correction2) / correction1, rootFactor: 1, before: 1, after: decay };
}

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
    adamw(param, grad, m, v, step) {
      const n = param.length;
      const { stepSize, rootFactor, before, after } = adamwFactors(step);
      kernels.adl_adamw(
        target(param, n),
        floats(grad, n),
        target(m, n),
        target(v, n),
        n,
        step.beta1,
        1 - step.beta1,
        step.beta2,
        1 - step.beta2,
        step.eps,
        stepSize,
        rootFactor,
        before,
        after,
      );
    },
  };
}
