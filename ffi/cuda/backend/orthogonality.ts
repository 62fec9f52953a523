import type { Backend } from "../../../core/backend.ts";
import { floats, optionalTarget, target } from "../buffer.ts";
import { blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { packRows } from "./tables.ts";

/** Threads of a block. */
const BLOCK = 256;

/** kernels/orthogonality.cu */
export function orthogonalityKernels(launcher: Launcher): Pick<Backend, "orthogonality"> {
  return {
    orthogonality(factors, norm, { weight, gradWeight }) {
      if (factors.length === 0) return;
      let residuals = 0;
      const rows = factors.map(({ factor, grad, rank, width, columns }) => {
        const at = residuals;
        residuals += rank * rank;
        const [from, to] = [floats(factor, rank * width), optionalTarget(grad, rank * width)];
        return [from, to, rank, width, Number(columns), at];
      });
      const table = launcher.table(packRows(rows));
      // The norms, in double, lie before the residuals.
      const space = launcher.scratch(2 * factors.length + residuals);
      const count = i32(factors.length);
      launcher.launch("orthogonality_residuals_f32", factors.length, BLOCK, 0, [
        table,
        space,
        count,
      ]);
      const width = factors.reduce((most, factor) => Math.max(most, factor.width), 1);
      const grid = [blocksOf(width, BLOCK), factors.length] as const;
      const weights = [f32(weight), f32(gradWeight * weight)];
      launcher.launch("orthogonality_gradients_f32", grid, BLOCK, 0, [
        table,
        space,
        count,
        target(norm, 1),
        ...weights,
      ]);
    },
  };
}
