import type { RowKernels } from "../../../core/kernels/rows.ts";
import { type Arg, i32, type Launcher } from "../launcher.ts";
import { elements, integers, target, typeOf } from "../buffer.ts";
import { launchMatrix } from "./launches.ts";

/** kernels/rows.cu */
export function rowKernels(launcher: Launcher): RowKernels {
  const launch = (kernel: string, rows: number, cols: number, args: Arg[]) =>
    launchMatrix(launcher, kernel, { rows, cols }, args);

  return {
    gatherRows(table, ids, y, { rows, cols, add }) {
      const [type, tableType] = [typeOf(y), typeOf(table)];
      const [from, to] = [elements(table, 0, tableType), target(y, rows * cols, type)];
      const args = [from, integers(ids, rows), to, i32(cols), i32(Number(add))];
      launch(`gather_${tableType}_rows_${type}`, rows, cols, args);
    },
    scatterAddRows(dy, ids, table, rows, cols) {
      const [type, tableType] = [typeOf(dy), typeOf(table)];
      const [from, to] = [elements(dy, rows * cols, type), target(table, 0, tableType)];
      const args = [from, integers(ids, rows), to, i32(rows), i32(cols)];
      launch(`scatter_add_${tableType}_rows_${type}`, rows, cols, args);
    },
    unfold(x, neighbours, y, { rows, cols, width }) {
      const [n, type] = [rows * cols, typeOf(x)];
      const [from, to] = [elements(x, n, type), target(y, n * width, type)];
      const args = [from, integers(neighbours, rows * width), to, i32(cols), i32(width)];
      launch(`unfold_${type}`, rows, cols * width, args);
    },
    foldAdd(dy, neighbours, dx, { rows, cols, width }) {
      const [n, type] = [rows * cols, typeOf(dx)];
      const [from, to] = [elements(dy, n * width, type), target(dx, n, type)];
      const at = integers(neighbours, rows * width);
      launch(`fold_add_${type}`, rows, cols, [from, at, to, i32(rows), i32(cols), i32(width)]);
    },
  };
}
