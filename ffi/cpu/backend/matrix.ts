import type { Backend, Buffer, GemmShape } from "../../../core/backend.ts";
import { offsetBy, zeroNative } from "../../memory.ts";
import { elementBytes, floats, numbers, optionalFloats, target, typeOf } from "./buffer.ts";
import { openProductCalls } from "../product-calls.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { mixedProducts, placed } from "./mixed-products.ts";

type Matrix = Pick<
  Backend,
  "gemm" | "addLowRank" | "addBias" | "addColumnSums" | "scaleColumns" | "addColumnDots"
>;

/** kernels/columns.c */
export const MATRIX_KERNELS = {
  adl_add_low_rank: { args: [P, P, P, P, L, L, L, I, P], returns: I },
  adl_add_bias: { args: [P, P, L, L], returns: I },
  adl_add_column_sums: { args: [P, P, L, L, P], returns: I },
  adl_scale_columns: { args: [P, P, F, P, L, L], returns: I },
  adl_add_column_dots: { args: [P, P, F, P, L, L, P], returns: I },
} as const;

/** kernels/few-rows.c: in bf16, oneDNN multiplies matrices that are packed already. */
export const FEW_ROWS_KERNELS = {
  adl_multiply_few_rows: { args: [P, L, P, L, P, L, I, L, I], returns: I },
} as const;

/** Up to so many rows, our own product with a transposed matrix is faster than oneDNN's. */
const FEW_ROWS = 64;

export const MATRIX_SIZES = {
  adl_low_rank_scratch: { args: [L, L, I], returns: SIZE },
  adl_column_sums_scratch: { args: [L, L], returns: SIZE },
} as const;

/** C of a product over nothing, such as one of rank 0: oneDNN would leave it as it is. */
function withoutTerms(c: Buffer, { m, n, beta = 0, ldc = n }: GemmShape): void {
  const type = typeOf(c);
  const at = target(c, (m - 1) * ldc + n, type);
  const bytes = elementBytes[type];
  if (beta === 1) return;
  for (let i = 0; i < m; i++) zeroNative(offsetBy(at, i * ldc * bytes), n * bytes);
}

/** Matrix products by oneDNN; what goes with them by our kernels. */
export function matrix(context: CpuContext): Matrix {
  const { library, dnnl, scratch } = context;
  const kernels = typedKernels(library, MATRIX_KERNELS);
  const few = openKernels(library, FEW_ROWS_KERNELS, "f32");
  const sizes = openSizes(library, MATRIX_SIZES);
  const { sgemm } = openProductCalls(dnnl.path, library);
  const mixedProduct = mixedProducts(context);
  const columnScratch = (rows: number, cols: number) =>
    scratch(Number(sizes.adl_column_sums_scratch(rows, cols)));

  return {
    gemm(a, b, c, shape) {
      if (shape.m === 0 || shape.n === 0) return;
      if (shape.k === 0) return withoutTerms(c, shape);
      if ([a, b, c].some((each) => typeOf(each) === "bf16")) return mixedProduct(a, b, c, shape);
      const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
      const { lda, ldb, ldc, lengths } = placed(shape);
      const [aAt, bAt] = [floats(a, lengths.a), floats(b, lengths.b)];
      const cAt = target(c, lengths.c);
      if (m <= FEW_ROWS && transB && !transA && beta === 0)
        return few.adl_multiply_few_rows(aAt, lda, bAt, ldb, cAt, ldc, m, n, k);
      sgemm(transA, transB, m, n, k, 1, aAt, lda, bAt, ldb, beta, cAt, ldc);
    },
    addLowRank(y, h, factor, bias, { rows, cols, rank, transposed }) {
      const type = typeOf(y);
      kernels(type).adl_add_low_rank(
        target(y, rows * cols, type),
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
      const type = typeOf(y);
      kernels(type).adl_add_bias(target(y, rows * cols, type), floats(bias, cols), rows, cols);
    },
    addColumnSums(x, sum, rows, cols) {
      const type = typeOf(x);
      const [from, to] = [numbers(x, rows * cols, type), target(sum, cols)];
      kernels(type).adl_add_column_sums(from, to, rows, cols, columnScratch(rows, cols));
    },
    scaleColumns(x, scale, factor, y, rows, cols) {
      const [n, type] = [rows * cols, typeOf(y)];
      const [from, by, to] = [numbers(x, n, type), floats(scale, cols), target(y, n, type)];
      kernels(type).adl_scale_columns(from, by, factor, to, rows, cols);
    },
    addColumnDots(x, y, factor, dots, rows, cols) {
      const [n, type] = [rows * cols, typeOf(x)];
      const [left, right] = [numbers(x, n, type), numbers(y, n, type)];
      const [to, space] = [target(dots, cols), columnScratch(rows, cols)];
      kernels(type).adl_add_column_dots(left, right, factor, to, rows, cols, space);
    },
  };
}
