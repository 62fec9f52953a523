import type { Backend, Buffer } from "../../../core/backend.ts";
import type { GemmShape } from "../../../core/kernels/matrix.ts";
import { offsetBy, zeroNative } from "../../memory.ts";
import { elementBytes, floats, elements, target, typeOf } from "./buffer.ts";
import { operand } from "../matmul.ts";
import { openProductCalls } from "../product-calls.ts";
import type { CpuContext } from "./context.ts";
import { I, L, openKernels, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { mixedProducts, operandLayout } from "./mixed-products.ts";

/** kernels/narrow-products.c: few rows, f32 only. */
export const FEW_ROWS_KERNELS = {
  adl_multiply_few_rows: { args: [P, L, P, L, P, L, I, L, I], returns: I },
} as const;

/** kernels/narrow-products.c: few columns. */
export const NARROW_KERNELS = {
  adl_multiply_narrow: { args: [P, L, P, L, I, P, L, L, I, I, P], returns: I },
} as const;

/** Scratch sizes in floats. */
export const NARROW_SIZES = {
  adl_multiply_narrow_scratch: { args: [L, L], returns: SIZE },
} as const;

/**
 * Up to this many columns our product is faster than oneDNN's (twice at 8), and needs no JIT
 * compilation per row count.
 */
const FEW_COLUMNS = 32;

/**
 * Up to this many rows, our f32 product with a transposed matrix is faster than oneDNN's. bf16 uses
 * packed matrices instead.
 */
const FEW_ROWS = 64;

/**
 * Whether a JIT-compiled float product is faster than sgemm, which is slow at long sums along a
 * transposed matrix and at few rows. Zen 4, W [768, 3072] transposed: 215 GF/s against 165 at 416
 * rows, 185 against 67 at 64. Elsewhere they are equal, and the compilation per row count, 0.2 to
 * 0.6 ms, would be wasted.
 */
function gainsFromJit({ m, n, k, transA = false, transB = false }: GemmShape): boolean {
  return !transA && transB && (k > n || m <= 256);
}

/**
 * Zeros C of a product with k = 0, such as one of rank 0, unless beta is 1: oneDNN would leave it
 * unchanged.
 */
function emptyProduct(c: Buffer, { m, n, beta = 0, ldc = n }: GemmShape): void {
  const type = typeOf(c);
  const at = target(c, (m - 1) * ldc + n, type);
  const bytes = elementBytes[type];
  if (beta === 1) return;
  for (let i = 0; i < m; i++) zeroNative(offsetBy(at, i * ldc * bytes), n * bytes);
}

/** Matrix products by oneDNN, or our own where oneDNN is slow. */
export function products(context: CpuContext): Pick<Backend, "gemm"> {
  const { library, dnnl, matmul, scratch } = context;
  const kernels = openKernels(library, FEW_ROWS_KERNELS, "f32");
  const narrowKernels = typedKernels(library, NARROW_KERNELS);
  const sizes = openSizes(library, NARROW_SIZES);
  const { sgemm } = openProductCalls(dnnl.path, library);
  const mixedProduct = mixedProducts(context);
  let hasJit: boolean | undefined;

  /** C = A B, or A B^T, with few columns: all float, or A in bf16. */
  function narrowProduct(a: Buffer, b: Buffer, c: Buffer, shape: GemmShape) {
    const { m, n, k, transB = false } = shape;
    const { lda, ldb, ldc, lengths } = operandLayout(shape);
    const type = typeOf(a);
    narrowKernels(type).adl_multiply_narrow(
      elements(a, lengths.a, type),
      lda,
      floats(b, lengths.b),
      ldb,
      Number(transB),
      target(c, lengths.c),
      ldc,
      m,
      n,
      k,
      scratch(Number(sizes.adl_multiply_narrow_scratch(n, k))),
    );
  }

  function product(a: Buffer, b: Buffer, c: Buffer, shape: GemmShape) {
    if ([a, b, c].some((each) => typeOf(each) === "bf16")) return mixedProduct(a, b, c, shape);
    const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
    const { lda, ldb, ldc, lengths } = operandLayout(shape);
    const [aAt, bAt] = [floats(a, lengths.a), floats(b, lengths.b)];
    const cAt = target(c, lengths.c);
    if (m <= FEW_ROWS && transB && !transA && beta === 0)
      return kernels.adl_multiply_few_rows(aAt, lda, bAt, ldb, cAt, ldc, m, n, k);
    if (gainsFromJit(shape) && (hasJit ??= matmul().hasJit("f32"))) {
      const [left, right] = [operand("f32", transA, lda), operand("f32", transB, ldb)];
      const to = { type: "f32", rowStride: ldc } as const;
      const how = { bias: false, accumulate: beta === 1 };
      matmul().run({ m, n, k, a: left, b: right, c: to, ...how }, aAt, bAt, cAt);
    } else sgemm(transA, transB, m, n, k, 1, aAt, lda, bAt, ldb, beta, cAt, ldc);
  }

  return {
    gemm(a, b, c, shape) {
      const { m, n, k, transA = false, beta = 0 } = shape;
      if (m === 0 || n === 0) return;
      if (k === 0) return emptyProduct(c, shape);
      const narrow = !transA && beta === 0 && n <= FEW_COLUMNS;
      if (narrow && [b, c].every((each) => typeOf(each) === "f32")) narrowProduct(a, b, c, shape);
      else product(a, b, c, shape);
    },
  };
}
