import type { Backend } from "../../../core/backend.ts";
import { floats, elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openSizes, P, SIZE, typedKernels } from "./kernels.ts";

type Matrix = Pick<Backend, "addBias" | "addColumnSums" | "addColumnDots">;

/** kernels/columns.c */
export const MATRIX_KERNELS = {
  adl_add_bias: { args: [P, P, L, L], returns: I },
  adl_add_column_sums: { args: [P, P, L, L, P], returns: I },
  adl_add_column_dots: { args: [P, P, F, P, L, L, P], returns: I },
} as const;

/** Scratch sizes in floats. */
export const MATRIX_SIZES = {
  adl_column_sums_scratch: { args: [L, L], returns: SIZE },
} as const;

/** Bias and column sums. */
export function matrix({ library, scratch }: CpuContext): Matrix {
  const kernels = typedKernels(library, MATRIX_KERNELS);
  const sizes = openSizes(library, MATRIX_SIZES);
  const columnScratch = (rows: number, cols: number) =>
    scratch(Number(sizes.adl_column_sums_scratch(rows, cols)));

  return {
    addBias(y, bias, rows, cols) {
      const type = typeOf(y);
      kernels(type).adl_add_bias(target(y, rows * cols, type), floats(bias, cols), rows, cols);
    },
    addColumnSums(x, sum, rows, cols) {
      const type = typeOf(x);
      const [from, to] = [elements(x, rows * cols, type), target(sum, cols)];
      kernels(type).adl_add_column_sums(from, to, rows, cols, columnScratch(rows, cols));
    },
    addColumnDots(x, y, factor, dots, rows, cols) {
      const [n, type] = [rows * cols, typeOf(x)];
      const [left, right] = [elements(x, n, type), elements(y, n, type)];
      const [to, space] = [target(dots, cols), columnScratch(rows, cols)];
      kernels(type).adl_add_column_dots(left, right, factor, to, rows, cols, space);
    },
  };
}
