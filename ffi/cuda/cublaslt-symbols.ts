import type { FFIFunction } from "bun:ffi";
import { openLibrary } from "../load.ts";
import { HINT } from "./cublas.ts";

const [P, I, Z] = ["ptr", "i32", "u64"] as const;

/** Functions of libcublasLt, by the names of their symbols. */
export const CUBLASLT_SYMBOLS = {
  cublasLtCreate: { args: [P], returns: I },
  cublasLtDestroy: { args: [P], returns: I },
  cublasLtMatmulDescCreate: { args: [P, I, I], returns: I },
  cublasLtMatmulDescDestroy: { args: [P], returns: I },
  cublasLtMatmulDescSetAttribute: { args: [P, I, P, Z], returns: I },
  cublasLtMatrixLayoutCreate: { args: [P, I, Z, Z, "i64"], returns: I },
  cublasLtMatrixLayoutDestroy: { args: [P], returns: I },
  cublasLtMatmulPreferenceCreate: { args: [P], returns: I },
  cublasLtMatmulPreferenceDestroy: { args: [P], returns: I },
  cublasLtMatmulPreferenceSetAttribute: { args: [P, I, P, Z], returns: I },
  cublasLtMatmulAlgoGetHeuristic: { args: [P, P, P, P, P, P, P, I, P, P], returns: I },
  cublasLtMatmul: { args: [P, P, P, Z, P, Z, P, P, Z, P, Z, P, P, Z, Z, P], returns: I },
} as const satisfies Record<string, FFIFunction>;

/** Opens libcublasLt without a handle. Throws E_LIBRARY with each path and its error. */
export const openCublasLtLibrary = (candidates: readonly string[]) =>
  openLibrary("cuBLASLt", candidates, CUBLASLT_SYMBOLS, HINT);

/** The functions of an open libcublasLt. */
export type CublasLtSymbols = ReturnType<typeof openCublasLtLibrary>["symbols"];
