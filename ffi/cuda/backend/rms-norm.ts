import type { RmsNormKernels } from "../../../core/kernels/rms-norm.ts";
import { elements, floats, optionalTarget, target, typeOf } from "../buffer.ts";
import { f32, i32, type Launcher } from "../launcher.ts";
import { launchColumns, launchWarps } from "./launches.ts";

/** kernels/rms-norm.cu */
export function rmsNormKernels(launcher: Launcher): RmsNormKernels {
  return {
    rmsNorm(x, weight, { y, rstd }, { rows, cols, eps }) {
      const [n, type] = [rows * cols, typeOf(x)];
      launchWarps(launcher, `rms_norm_${type}`, rows, [
        elements(x, n, type),
        floats(weight, cols),
        target(y, n, type),
        target(rstd, rows),
        i32(rows),
        i32(cols),
        f32(eps),
      ]);
    },

    rmsNormBackward(dyBuffer, xBuffer, weightBuffer, rstdBuffer, out, { rows, cols }) {
      const [n, type] = [rows * cols, typeOf(xBuffer)];
      const [dy, x] = [elements(dyBuffer, n, type), elements(xBuffer, n, type)];
      const [weight, rstd] = [floats(weightBuffer, cols), floats(rstdBuffer, rows)];
      const sizes = [i32(rows), i32(cols)];
      const dweight = optionalTarget(out.dweight, cols);
      // First, since dx may be dy.
      if (dweight !== undefined)
        launchColumns(launcher, `rms_norm_weight_${type}`, { rows, cols }, [
          dy,
          x,
          rstd,
          dweight,
          ...sizes,
        ]);
      const args = [dy, x, weight, rstd, target(out.dx, n, type), ...sizes];
      launchWarps(launcher, `rms_norm_backward_${type}`, rows, args);
    },
  };
}
