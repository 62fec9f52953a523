import type { Backend } from "../../../core/backend.ts";
import type { AdamWStep, Importance } from "../../../core/kernels/training.ts";
import { floats, optionalTarget, target } from "../buffer.ts";
import { blocksOf, f32, i32, i64, type Launcher } from "../launcher.ts";
import { launchEach } from "./launches.ts";

type Optimizer = Pick<Backend, "sumOfSquares" | "clipByNorm" | "adamw">;

/** Threads of a block that sums squares, the elements for which another is added, and the most. */
const [BLOCK, BLOCK_ELEMENTS, MOST_BLOCKS] = [256, 4096, 512];

/** Computed in double, so that 1 - beta keeps its digits. */
const betas = ({ beta1, beta2 }: Pick<Importance, "beta1" | "beta2">) =>
  [beta1, 1 - beta1, beta2, 1 - beta2].map(f32);

/** beta1 to after of adamw in kernels/optimizer.cu. */
function stepArgs(s: AdamWStep) {
  const correction1 = 1 - s.beta1 ** s.t;
  const correction2 = Math.sqrt(1 - s.beta2 ** s.t);
  const decay = 1 - s.lr * s.weightDecay;
  const [stepSize, rootFactor, before, after] =
    s.variant === "adamw"
      ? ([s.lr / correction1, 1 / correction2, decay, 1] as const)
      : ([(s.lr * correction2) / correction1, 1, 1, decay] as const);
  return [...betas(s), ...[s.eps, stepSize, rootFactor, before, after].map(f32)];
}

/** kernels/optimizer.cu */
export function optimizerKernels(launcher: Launcher): Optimizer {
  return {
    sumOfSquares(x, sum) {
      const n = x.length;
      const blocks = Math.max(1, Math.min(blocksOf(n, BLOCK_ELEMENTS), MOST_BLOCKS));
      const [parts, to] = [launcher.scratch(2 * blocks), target(sum, 1)];
      const args = [floats(x, n), i64(n), parts, to];
      launcher.launch("sum_of_squares_f32", blocks, BLOCK, 0, args);
      if (blocks > 1) launcher.launch("sum_parts", 1, BLOCK, 0, [parts, i32(blocks), to]);
    },

    clipByNorm(grad, sumOfSquares, maxNorm, norm) {
      const n = grad.length;
      const [to, sum] = [target(grad, n), floats(sumOfSquares, 1)];
      const args = [to, sum, f32(maxNorm), target(norm, 1), i64(n)];
      // Without elements there is still a norm to set.
      launchEach(launcher, "clip_by_norm_f32", Math.max(n, 1), args);
    },

    adamw(param, grad, m, v, step, importance) {
      const n = param.length;
      launchEach(launcher, "adamw_f32", n, [
        target(param, n),
        floats(grad, n),
        target(m, n),
        target(v, n),
        i64(n),
        ...stepArgs(step),
        optionalTarget(importance?.sensitivity, n),
        optionalTarget(importance?.uncertainty, n),
        ...betas(importance ?? { beta1: 0, beta2: 0 }),
      ]);
    },
  };
}
