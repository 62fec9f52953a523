import type { KernelType } from "../buffer.ts";
import { type Arg, blocksOf, type Launcher } from "../launcher.ts";

/** Threads of a warp: WARP of kernels/language.h. */
export const WARP = 32;

/** Threads of a block, where the work has as many. */
const BLOCK = 256;

/** Warps of a block of kernels with one warp a row. */
const ROWS_OF_BLOCK = 4;

/** The names of a kernel by the type of what it computes with. */
export const byType = (name: string): Readonly<Record<KernelType, string>> => ({
  f32: `${name}_f32`,
  bf16: `${name}_bf16`,
});

/** Starts a kernel with one thread for each of `count` elements: own_element. */
export function launchEach(launcher: Launcher, kernel: string, count: number, args: Arg[]): void {
  launcher.launch(kernel, blocksOf(count, BLOCK), BLOCK, 0, args);
}

/** Starts a kernel over a matrix: own_row and own_column of kernels/device.h. */
export function launchMatrix(
  launcher: Launcher,
  kernel: string,
  { rows, cols }: { rows: number; cols: number },
  args: Arg[],
): void {
  const block = Math.min(BLOCK, WARP * blocksOf(cols, WARP));
  launcher.launch(kernel, [rows, blocksOf(cols, block)], block, 0, args);
}

/** Starts a kernel with one warp for each of `rows` rows. */
export function launchWarps(launcher: Launcher, kernel: string, rows: number, args: Arg[]): void {
  launcher.launch(kernel, blocksOf(rows, ROWS_OF_BLOCK), ROWS_OF_BLOCK * WARP, 0, args);
}

/** Starts a kernel with one block for each of `rows` rows. */
export function launchRows(launcher: Launcher, kernel: string, rows: number, args: Arg[]): void {
  launcher.launch(kernel, rows, BLOCK, 0, args);
}

/** Starts a kernel that sums the columns of a matrix: sum_columns of kernels/columns.h. */
export function launchColumns(
  launcher: Launcher,
  kernel: string,
  { rows, cols }: { rows: number; cols: number },
  args: Arg[],
): void {
  const warps = Math.max(1, Math.min(WARP, rows));
  launcher.launch(kernel, blocksOf(cols, WARP), warps * WARP, 0, args);
}
