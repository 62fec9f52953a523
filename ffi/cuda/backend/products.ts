import type { Backend, Buffer } from "../../../core/backend.ts";
import type { GemmShape } from "../../../core/kernels/matrix.ts";
import { elements, type KernelType, target, typeOf } from "../buffer.ts";
import type { Cublas } from "../cublas.ts";
import type { CudaContext } from "../context.ts";
import { elementBytes } from "../buffer.ts";

/** Matrix products by cuBLAS. */
export function productKernels(
  { driver, stream }: CudaContext,
  cublas: Cublas,
): Pick<Backend, "gemm"> {
  /** C = beta C, which a product with k = 0 leaves. */
  function emptyProduct(c: Buffer, { m, n, beta = 0, ldc = n }: GemmShape) {
    const type = typeOf(c);
    const { pointer } = target(c, (m - 1) * ldc + n, type);
    const size = elementBytes[type];
    if (beta === 1) return;
    const clear = (at: number, bytes: number) =>
      driver.call("cuMemsetD8Async", undefined, at, 0, bytes, stream);
    if (ldc === n) return clear(pointer, m * n * size);
    for (let row = 0; row < m; row++) clear(pointer + row * ldc * size, n * size);
  }

  return {
    gemm(a, b, c, shape) {
      const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
      if (m === 0 || n === 0) return;
      if (k === 0) return emptyProduct(c, shape);
      const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = shape;
      const [left, right, to] = [typeOf(a), typeOf(b), typeOf(c)];
      cublas.multiply(
        { m, n, k, beta },
        operand(a, left, transA, lda, transA ? [k, m] : [m, k]),
        operand(b, right, transB, ldb, transB ? [n, k] : [k, n]),
        { pointer: target(c, (m - 1) * ldc + n, to).pointer, type: to, ld: ldc },
      );
    },
  };
}

function operand(
  buffer: Buffer,
  type: KernelType,
  transposed: boolean,
  ld: number,
  [rows, cols]: readonly [number, number],
) {
  const { pointer } = elements(buffer, (rows - 1) * ld + cols, type);
  return { pointer, type, ld, transposed };
}
