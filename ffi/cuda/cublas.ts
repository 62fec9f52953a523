import type { FFIFunction } from "bun:ffi";
import { openLibrary } from "../load.ts";
import { ABI } from "./abi.ts";
import type { CudaContext } from "./context.ts";
import type { KernelType } from "./buffer.ts";
import type { OnOpen } from "./close-all.ts";
import { out, outHandle, outInt } from "./driver.ts";
import { cublasCheck } from "./library-status.ts";

const [P, I, Z] = ["ptr", "i32", "u64"] as const;

/** Functions of libcublas, by the names of their symbols. */
export const CUBLAS_SYMBOLS = {
  cublasCreate_v2: { args: [P], returns: I },
  cublasDestroy_v2: { args: [P], returns: I },
  cublasGetVersion_v2: { args: [P, P], returns: I },
  cublasSetStream_v2: { args: [P, P], returns: I },
  cublasSetMathMode: { args: [P, I], returns: I },
  cublasSetWorkspace_v2: { args: [P, Z, Z], returns: I },
  cublasGemmEx: {
    args: [P, I, I, I, I, I, P, Z, I, I, Z, I, I, P, Z, I, I, I, I],
    returns: I,
  },
} as const satisfies Record<string, FFIFunction>;

/** Values of cudaDataType. */
export const CUBLAS_TYPES: Readonly<Record<KernelType, number>> = {
  f32: ABI.CUDA_R_32F,
  bf16: ABI.CUDA_R_16BF,
};

/** Scratch of cuBLAS: 32 MiB on capability 9.0 and newer, as its documentation recommends. */
export const WORKSPACE_BYTES = 32 * 2 ** 20;

/** What to do without cuBLAS or cuBLASLt. */
export const HINT = "npm run setup -- --cuda fetches it, or run with --device cpu";

/** A matrix in device memory: address, type and leading dimension, row-major. */
export interface ProductOperand {
  readonly pointer: number;
  readonly type: KernelType;
  readonly ld: number;
  readonly transposed: boolean;
}

/** Sizes of C[m, n] = A[m, k] B[k, n] + beta C. */
export interface ProductSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly beta: 0 | 1;
}

/** A block of device memory in which products sum. */
export interface Workspace {
  readonly pointer: number;
  readonly bytes: number;
}

/** An open cuBLAS on the compute stream. */
export interface Cublas {
  readonly path: string;
  readonly version: number;
  readonly workspace: Workspace;
  /** Queues row-major C[m, n] = op(A) op(B) + beta C. Throws E_NATIVE. */
  multiply(
    sizes: ProductSizes,
    a: ProductOperand,
    b: ProductOperand,
    c: Omit<ProductOperand, "transposed">,
  ): void;
}

/** Opens libcublas without a handle. Throws E_LIBRARY with each path and its error. */
export const openCublasLibrary = (candidates: readonly string[]) =>
  openLibrary("cuBLAS", candidates, CUBLAS_SYMBOLS, HINT);

/**
 * Opens cuBLAS with a workspace of its own. TF32 stays off unless `tf32`: its products keep 10 bits
 * of each factor.
 */
export function openCublas(
  context: CudaContext,
  candidates: readonly string[],
  pool: { alloc(bytes: number): number },
  onOpen: OnOpen,
  tf32 = false,
): Cublas {
  const { path, symbols } = openCublasLibrary(candidates);
  const check = cublasCheck(context);
  check(symbols.cublasCreate_v2(out), "cublasCreate_v2");
  const handle = outHandle();
  onOpen(() => check(symbols.cublasDestroy_v2(handle), "cublasDestroy_v2"));
  check(symbols.cublasSetStream_v2(handle, context.stream), "cublasSetStream_v2");
  const math = tf32 ? ABI.CUBLAS_TF32_TENSOR_OP_MATH : ABI.CUBLAS_DEFAULT_MATH;
  check(symbols.cublasSetMathMode(handle, math), "cublasSetMathMode");
  const workspace = pool.alloc(WORKSPACE_BYTES);
  check(symbols.cublasSetWorkspace_v2(handle, workspace, WORKSPACE_BYTES), "cublasSetWorkspace_v2");
  check(symbols.cublasGetVersion_v2(handle, out), "cublasGetVersion_v2");
  const [zero, one] = [new Float32Array(new ArrayBuffer(4)), new Float32Array(new ArrayBuffer(4))];
  one[0] = 1;
  return {
    path,
    version: outInt(),
    workspace: { pointer: workspace, bytes: WORKSPACE_BYTES },
    multiply({ m, n, k, beta }, a, b, c) {
      // Column-major, C^T = op(B)^T op(A)^T: the operands change places, not their storage.
      const status = symbols.cublasGemmEx(
        handle,
        b.transposed ? ABI.CUBLAS_OP_T : ABI.CUBLAS_OP_N,
        a.transposed ? ABI.CUBLAS_OP_T : ABI.CUBLAS_OP_N,
        n,
        m,
        k,
        one,
        b.pointer,
        CUBLAS_TYPES[b.type],
        b.ld,
        a.pointer,
        CUBLAS_TYPES[a.type],
        a.ld,
        beta === 1 ? one : zero,
        c.pointer,
        CUBLAS_TYPES[c.type],
        c.ld,
        ABI.CUBLAS_COMPUTE_32F,
        ABI.CUBLAS_GEMM_DEFAULT,
      );
      if (status !== 0) check(status, `cublasGemmEx ${m}x${n}x${k}`);
    },
  };
}
