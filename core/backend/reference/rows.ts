import type { RowKernels } from "../../kernels/rows.ts";
import { floats, integers } from "./buffer.ts";

/** Kernels that move rows. */
export const rowKernels: RowKernels = {
  gatherRows(tableBuffer, idsBuffer, yBuffer, { rows, cols, add }) {
    const [table, ids, y] = [floats(tableBuffer), integers(idsBuffer), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        y[r * cols + c] = table[ids[r]! * cols + c]! + (add ? y[r * cols + c]! : 0);
      }
    }
  },

  scatterAddRows(dyBuffer, idsBuffer, tableBuffer, rows, cols) {
    const [dy, ids, table] = [floats(dyBuffer), integers(idsBuffer), floats(tableBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) table[ids[r]! * cols + c]! += dy[r * cols + c]!;
    }
  },

  unfold(xBuffer, neighboursBuffer, yBuffer, { rows, cols, width }) {
    const [x, neighbours, y] = [floats(xBuffer), integers(neighboursBuffer), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        for (let t = 0; t < width; t++) {
          const from = neighbours[r * width + t]!;
          y[(r * cols + c) * width + t] = from < 0 ? 0 : x[from * cols + c]!;
        }
      }
    }
  },

  foldAdd(dyBuffer, neighboursBuffer, dxBuffer, { rows, cols, width }) {
    const [dy, neighbours, dx] = [floats(dyBuffer), integers(neighboursBuffer), floats(dxBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        for (let t = 0; t < width; t++) {
          const to = neighbours[r * width + t]!;
          if (to >= 0) dx[to * cols + c]! += dy[(r * cols + c) * width + t]!;
        }
      }
    }
  },
};
