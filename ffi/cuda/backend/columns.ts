import type { MatrixKernels } from "../../../core/kernels/matrix.ts";
import { elements, floats, target, typeOf } from "../buffer.ts";
import { f32, i32, type Launcher } from "../launcher.ts";
import { launchColumns, launchMatrix } from "./launches.ts";

/** kernels/columns.cu */
export function columnKernels(
  launcher: Launcher,
): Pick<MatrixKernels, "addBias" | "addColumnSums" | "addColumnDots"> {
  return {
    addBias(y, bias, rows, cols) {
      const [n, type] = [rows * cols, typeOf(y)];
      const args = [target(y, n, type), floats(bias, cols), i32(cols)];
      launchMatrix(launcher, `add_bias_${type}`, { rows, cols }, args);
    },
    addColumnSums(x, sum, rows, cols) {
      const type = typeOf(x);
      const [from, to] = [elements(x, rows * cols, type), target(sum, cols)];
      const args = [from, to, i32(rows), i32(cols)];
      launchColumns(launcher, `add_column_sums_${type}`, { rows, cols }, args);
    },
    addColumnDots(x, y, factor, dots, rows, cols) {
      const [n, type] = [rows * cols, typeOf(x)];
      const from = [elements(x, n, type), elements(y, n, type)];
      const args = [...from, f32(factor), target(dots, cols), i32(rows), i32(cols)];
      launchColumns(launcher, `add_column_dots_${type}`, { rows, cols }, args);
    },
  };
}
