import type { Backend } from "../../../core/backend.ts";
import type { AdamWStep, Importance } from "../../../core/kernels/training.ts";
import { floats, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

type Optimizer = Pick<Backend, "sumOfSquares" | "clipByNorm" | "adamw">;

/** kernels/optimizer.c */
export const OPTIMIZER_KERNELS = {
  adl_sum_of_squares: { args: [P, P, L], returns: I },
  adl_clip_by_norm: { args: [P, P, F, P, L], returns: I },
  adl_adamw: { args: [P, P, P, P, L, P, P, P, P], returns: I },
} as const;

const STEP = struct({
  beta1: F,
  oneMinusBeta1: F,
  beta2: F,
  oneMinusBeta2: F,
  eps: F,
  stepSize: F,
  rootFactor: F,
  before: F,
  after: F,
});
const SMOOTHING = struct({ beta1: F, oneMinusBeta1: F, beta2: F, oneMinusBeta2: F });

/** The optimizer's structs of kernels/arguments.h. */
export const OPTIMIZER_STRUCTS = { adl_adamw_step: STEP, adl_smoothing: SMOOTHING } as const;

/** Computed in double, so that 1 - beta keeps its digits. */
const betas = ({ beta1, beta2 }: Pick<Importance, "beta1" | "beta2">) => ({
  beta1,
  oneMinusBeta1: 1 - beta1,
  beta2,
  oneMinusBeta2: 1 - beta2,
});

function packStep(s: AdamWStep): Uint8Array {
  const { beta1, beta2, eps } = s;
  const correction1 = 1 - beta1 ** s.t;
  const correction2 = Math.sqrt(1 - beta2 ** s.t);
  const decay = 1 - s.lr * s.weightDecay;
  const [stepSize, rootFactor, before, after] =
    s.variant === "adamw"
      ? [s.lr / correction1, 1 / correction2, decay, 1]
      : [(s.lr * correction2) / correction1, 1, 1, decay];
  return pack(STEP, { ...betas(s), eps, stepSize, rootFactor, before, after });
}

/** Entries of the optimizer. */
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
        packStep(step),
        optionalTarget(importance?.sensitivity, n),
        optionalTarget(importance?.uncertainty, n),
        importance ? pack(SMOOTHING, betas(importance)) : null,
      );
    },
  };
}
