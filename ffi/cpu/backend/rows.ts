import type { Backend } from "../../../core/backend.ts";
import { floats, integers, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { I, L, openKernels, P } from "./kernels.ts";

type Rows = Pick<Backend, "gatherRows" | "scatterAddRows" | "unfold" | "foldAdd">;

/** kernels/rows.c */
export const ROW_KERNELS = {
  adl_gather_rows_f32: { args: [P, L, P, P, L, L, I], returns: I },
  adl_scatter_add_rows_f32: { args: [P, P, P, L, L, L], returns: I },
  adl_unfold_f32: { args: [P, P, P, L, L, L], returns: I },
  adl_fold_add_f32: { args: [P, P, P, L, L, L], returns: I },
} as const;

export function rowMoves({ library }: CpuContext): Rows {
  const kernels = openKernels(library, ROW_KERNELS);
  return {
    gatherRows(table, ids, y, { rows, cols, add }) {
      const tableRows = Math.floor(table.length / cols);
      const [from, at, to] = [floats(table, 0), integers(ids, rows), target(y, rows * cols)];
      kernels.adl_gather_rows_f32(from, tableRows, at, to, rows, cols, Number(add));
    },
    scatterAddRows(dy, ids, table, rows, cols) {
      const tableRows = Math.floor(table.length / cols);
      const [from, at, to] = [floats(dy, rows * cols), integers(ids, rows), target(table, 0)];
      kernels.adl_scatter_add_rows_f32(from, at, to, tableRows, rows, cols);
    },
    unfold(x, neighbours, y, { rows, cols, width }) {
      const [from, at] = [floats(x, rows * cols), integers(neighbours, rows * width)];
      kernels.adl_unfold_f32(from, at, target(y, rows * cols * width), rows, cols, width);
    },
    foldAdd(dy, neighbours, dx, { rows, cols, width }) {
      const [from, at] = [floats(dy, rows * cols * width), integers(neighbours, rows * width)];
      kernels.adl_fold_add_f32(from, at, target(dx, rows * cols), rows, cols, width);
    },
  };
}
