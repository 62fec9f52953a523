import type { Pointer } from "bun:ffi";
import { addressOf } from "../libc.ts";
import { checked, openLibrary } from "../load.ts";
import { REBUILD } from "./build.ts";
import { dnnlStatus } from "./dnnl.ts";

/** kernels/product-calls.c */
export const PRODUCT_CALLS = {
  adl_sgemm: {
    args: [
      ...(["ptr", "i32", "i32", "i64", "i64", "i64", "f32", "ptr", "i64"] as const),
      ...(["ptr", "i64", "f32", "ptr", "i64"] as const),
    ],
    returns: "i32",
  },
  adl_execute: { args: ["ptr", "ptr", "ptr", "i32", "ptr"], returns: "i32" },
} as const;

/** oneDNN's products. They must run with signals blocked, so every product goes through here. */
export interface ProductCalls {
  /**
   * C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C, row-major f32; leading dimensions in elements.
   * With beta 0, C may be uninitialised.
   */
  sgemm(
    this: void,
    transA: boolean,
    transB: boolean,
    m: number,
    n: number,
    k: number,
    alpha: number,
    a: Pointer,
    lda: number,
    b: Pointer,
    ldb: number,
    beta: number,
    c: Pointer,
    ldc: number,
  ): void;
  /** Executes a primitive on a table of `count` dnnl_exec_arg_t. */
  execute(this: void, primitive: Pointer, stream: Pointer, count: number, table: Uint8Array): void;
}

/** Opens the products of the oneDNN at `path`, which must be open, through the compiled kernels. */
export function openProductCalls(path: string, kernels: string): ProductCalls {
  const { symbols } = openLibrary("the CPU kernels", [kernels], PRODUCT_CALLS, REBUILD);
  const [sgemmAddress, executeAddress] = [
    addressOf(path, "dnnl_sgemm"),
    addressOf(path, "dnnl_primitive_execute"),
  ];
  const sgemm = checked("dnnl_sgemm", symbols.adl_sgemm, dnnlStatus);
  const execute = checked("dnnl_primitive_execute", symbols.adl_execute, dnnlStatus);
  return {
    sgemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) {
      const [ta, tb] = [flag(transA), flag(transB)];
      sgemm(sgemmAddress, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    },
    execute: (primitive, stream, count, table) =>
      execute(executeAddress, primitive, stream, count, table),
  };
}

const flag = (transposed: boolean) => (transposed ? 84 : 78); // "T", "N"
