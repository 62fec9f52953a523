import type { Backend } from "../../../core/backend.ts";
import type { OrthogonalFactor } from "../../../core/kernels/training.ts";
import { floats, optionalTarget, target } from "../buffer.ts";
import { blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { packedOnce, packRows } from "./tables.ts";

/** Threads of a block. */
const BLOCK = 256;

/** The table of all factors; floats of their residuals; the widest factor. */
function packFactors(factors: readonly OrthogonalFactor[]) {
  let residuals = 0;
  let width = 1;
  const rows = factors.map(({ factor, grad, rank, width: own, columns }) => {
    const at = residuals;
    residuals += rank * rank;
    width = Math.max(width, own);
    const [from, to] = [floats(factor, rank * own), optionalTarget(grad, rank * own)];
    return [from, to, rank, own, Number(columns), at];
  });
  return { table: packRows(rows), residuals, width };
}

/** kernels/orthogonality.cu */
export function orthogonalityKernels(launcher: Launcher): Pick<Backend, "orthogonality"> {
  const packed = packedOnce(packFactors);
  return {
    orthogonality(factors, norm, { weight, gradWeight }) {
      if (factors.length === 0) return;
      const { table: rows, residuals, width } = packed(factors);
      const table = launcher.table(rows);
      // The norms, in double, lie before the residuals.
      const space = launcher.scratch(2 * factors.length + residuals);
      const count = i32(factors.length);
      launcher.launch("orthogonality_residuals_f32", factors.length, BLOCK, 0, [
        table,
        space,
        count,
      ]);
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
