import type { Backend } from "../../../core/backend.ts";
import { floats, optionalFloats, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, openSizes, P, SIZE } from "./kernels.ts";

type Matrix = Pick<
  Backend,
  "gemm" | "addLowRank" | "addBias" | "addColumnSums" | "scaleColumns" | "addColumnDots"
>;

/** kernels/columns.c */
export const MATRIX_KERNELS = {
  adl_add_low_rank_f32: { args: [P, P, P, P, L, L, L, I, P], returns: I },
  adl_add_bias_f32: { args: [P, P, L, L], returns: I },
  adl_add_column_sums_f32: { args: [P, P, L, L, P], returns: I },
  adl_scale_columns_f32: { args: [P, P, F, P, L, L], returns: I },
  adl_add_column_dots_f32: { args: [P, P, F, P, L, L, P], returns: I },
} as const;

export const MATRIX_SIZES = {
  adl_low_rank_scratch: { args: [L, L, I], returns: SIZE },
  adl_column_sums_scratch: { args: [L, L], returns: SIZE },
} as const;

/** Numbers that a matrix with a stride spans. */
const spanned = (rows: number, cols: number, stride: number) =>
  rows === 0 || cols === 0 ? 0 : (rows - 1) * stride + cols;

/** Matrix products by oneDNN; what goes with them by our kernels. */
export function matrix({ library, dnnl, scratch }: CpuContext): Matrix {
  const kernels = openKernels(library, MATRIX_KERNELS);
  const sizes = openSizes(library, MATRIX_SIZES);
  const columnScratch = (rows: number, cols: number) =>
    scratch(Number(sizes.adl_column_sums_scratch(rows, cols)));

  return {
    gemm(a, b, c, { m, n, k, transA = false, transB = false, beta = 0, ...strides }) {
      const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = strides;
      const aAt = floats(a, transA ? spanned(k, m, lda) : spanned(m, k, lda));
      const bAt = floats(b, transB ? spanned(n, k, ldb) : spanned(k, n, ldb));
      const cAt = target(c, spanned(m, n, ldc));
      dnnl.sgemm(transA, transB, m, n, k, 1, aAt, lda, bAt, ldb, beta, cAt, ldc);
    },
    addLowRank(y, h, factor, bias, { rows, cols, rank, transposed }) {
      kernels.adl_add_low_rank_f32(
        target(y, rows * cols),
        floats(h, rows * rank),
        floats(factor, cols * rank),
        optionalFloats(bias, cols),
        rows,
        cols,
        rank,
        Number(transposed),
        scratch(Number(sizes.adl_low_rank_scratch(cols, rank, Number(transposed)))),
      );
    },
    addBias(y, bias, rows, cols) {
      kernels.adl_add_bias_f32(target(y, rows * cols), floats(bias, cols), rows, cols);
    },
    addColumnSums(x, sum, rows, cols) {
      const [from, to] = [floats(x, rows * cols), target(sum, cols)];
      kernels.adl_add_column_sums_f32(from, to, rows, cols, columnScratch(rows, cols));
    },
    scaleColumns(x, scale, factor, y, rows, cols) {
      const [from, by, to] = [floats(x, rows * cols), floats(scale, cols), target(y, rows * cols)];
      kernels.adl_scale_columns_f32(from, by, factor, to, rows, cols);
    },
    addColumnDots(x, y, factor, dots, rows, cols) {
      const [left, right] = [floats(x, rows * cols), floats(y, rows * cols)];
      const [to, space] = [target(dots, cols), columnScratch(rows, cols)];
      kernels.adl_add_column_dots_f32(left, right, factor, to, rows, cols, space);
    },
  };
}
