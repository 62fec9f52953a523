import type { LayerNormKernels } from "../../../core/kernels/layer-norm.ts";
import {
  elements,
  floats,
  optionalElements,
  optionalFloats,
  optionalTarget,
  target,
  typeOf,
} from "../buffer.ts";
import { f32, i32, type Launcher } from "../launcher.ts";
import { dropoutArgs } from "./dropout.ts";
import { launchColumns, launchWarps } from "./launches.ts";

/** kernels/layer-norm.cu */
export function layerNormKernels(launcher: Launcher): LayerNormKernels {
  return {
    addLayerNorm(x, residual, weight, bias, out, { rows, cols, eps, dropout }) {
      const [n, type] = [rows * cols, typeOf(x)];
      launchWarps(launcher, `add_layer_norm_${type}`, rows, [
        target(x, n, type),
        optionalElements(residual, n, type),
        floats(weight, cols),
        optionalFloats(bias, cols),
        target(out.y, n, type),
        target(out.mean, rows),
        target(out.rstd, rows),
        i32(rows),
        i32(cols),
        f32(eps),
        ...dropoutArgs(dropout),
      ]);
    },

    addLayerNormBackward(dyBuffer, xBuffer, weight, stats, out, { rows, cols, dropout }) {
      const [n, type] = [rows * cols, typeOf(xBuffer)];
      const [dy, x] = [elements(dyBuffer, n, type), elements(xBuffer, n, type)];
      const [mean, rstd] = [floats(stats.mean, rows), floats(stats.rstd, rows)];
      const dweight = optionalTarget(out.dweight, cols);
      const dbias = optionalTarget(out.dbias, cols);
      const sizes = [i32(rows), i32(cols)];
      // First, since dsum may be dy.
      if (dweight !== undefined || dbias !== undefined) {
        const args = [dy, x, mean, rstd, dweight, dbias, ...sizes];
        launchColumns(launcher, `layer_norm_parameters_${type}`, { rows, cols }, args);
      }
      const dsum = target(out.dsum, n, type);
      const dx = dropout && optionalTarget(out.dx, n, type);
      const inputs = [dy, x, floats(weight, cols), mean, rstd];
      const args = [...inputs, dsum, dx, ...sizes, ...dropoutArgs(dropout)];
      launchWarps(launcher, `layer_norm_backward_${type}`, rows, args);
    },
  };
}
