import type { Buffer } from "./memory.ts";

/** Kernels that move rows. */
export interface RowKernels {
  /** y[r] = table[ids[r]], or += when `add`. */
  gatherRows(
    table: Buffer,
    ids: Buffer,
    y: Buffer,
    shape: { rows: number; cols: number; add: boolean },
  ): void;
  /**
   * table[ids[r]] += dy[r]. Rows are added in order, so that the sum has the same bits each time.
   */
  scatterAddRows(dy: Buffer, ids: Buffer, table: Buffer, rows: number, cols: number): void;
  /**
   * y[r, c * width + t] = x[neighbours[r * width + t], c], 0 where the neighbour is -1. Sets y.
   */
  unfold(
    x: Buffer,
    neighbours: Buffer,
    y: Buffer,
    shape: { rows: number; cols: number; width: number },
  ): void;
  /** dx[neighbours[r * width + t], c] += dy[r, c * width + t]. */
  foldAdd(
    dy: Buffer,
    neighbours: Buffer,
    dx: Buffer,
    shape: { rows: number; cols: number; width: number },
  ): void;
}
