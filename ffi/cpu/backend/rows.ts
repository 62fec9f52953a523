import type { Backend } from "../../../core/backend.ts";
import { cpuBuffer, floats, integers, elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { I, L, P, typedKernels } from "./kernels.ts";

type Rows = Pick<Backend, "gatherRows" | "scatterAddRows" | "unfold" | "foldAdd">;

/** kernels/rows.c */
export const ROW_KERNELS = {
  adl_gather_rows: { args: [P, L, P, P, L, L, I], returns: I },
  adl_scatter_add_rows: { args: [P, P, P, L, L, L], returns: I },
  adl_unfold: { args: [P, P, P, L, L, L], returns: I },
  adl_fold_add: { args: [P, P, P, L, L, L], returns: I },
} as const;

/** Kernels between bf16 and the other table type than in ROW_KERNELS. */
export const BF16_ROW_KERNELS = {
  adl_gather_float_rows: { args: [P, L, P, P, L, L, I], returns: I },
  adl_scatter_add_act_rows: { args: [P, P, P, L, L, L], returns: I },
} as const;

/** Entries that gather and scatter rows. */
export function rowMoves({ library }: CpuContext): Rows {
  const kernels = typedKernels(library, ROW_KERNELS);
  const mixedKernels = typedKernels(library, BF16_ROW_KERNELS);
  const mixed = () => mixedKernels("bf16");
  return {
    gatherRows(table, ids, y, { rows, cols, add }) {
      const type = typeOf(y);
      const tableRows = Math.floor(table.length / cols);
      const [at, to] = [integers(ids, rows), target(y, rows * cols, type)];
      // A table that is only gathered from stays in float: only the rows read become bf16.
      const wide = typeOf(table) === "f32" ? floats(table, 0) : cpuBuffer(table).pending?.floats;
      if (type === "bf16" && wide !== undefined)
        mixed().adl_gather_float_rows(wide, tableRows, at, to, rows, cols, Number(add));
      else {
        const from = elements(table, 0, type);
        kernels(type).adl_gather_rows(from, tableRows, at, to, rows, cols, Number(add));
      }
    },
    scatterAddRows(dy, ids, table, rows, cols) {
      const [type, tableType] = [typeOf(dy), typeOf(table)];
      const tableRows = Math.floor(table.length / cols);
      const [from, at] = [elements(dy, rows * cols, type), integers(ids, rows)];
      const scatter =
        tableType === "f32" ? kernels(type).adl_scatter_add_rows : mixed().adl_scatter_add_act_rows;
      scatter(from, at, target(table, 0, tableType), tableRows, rows, cols);
    },
    unfold(x, neighbours, y, { rows, cols, width }) {
      const type = typeOf(y);
      const [from, at] = [elements(x, rows * cols, type), integers(neighbours, rows * width)];
      const to = target(y, rows * cols * width, type);
      kernels(type).adl_unfold(from, at, to, rows, cols, width);
    },
    foldAdd(dy, neighbours, dx, { rows, cols, width }) {
      const type = typeOf(dx);
      const from = elements(dy, rows * cols * width, type);
      const [at, to] = [integers(neighbours, rows * width), target(dx, rows * cols, type)];
      kernels(type).adl_fold_add(from, at, to, rows, cols, width);
    },
  };
}
