import type { Pointer } from "bun:ffi";
import { ABI } from "./abi.ts";
import { CUBLAS_TYPES, type ProductOperand, type ProductSizes } from "./cublas.ts";
import type { CublasLtSymbols } from "./cublaslt-symbols.ts";
import { closeAll } from "./close-all.ts";
import { out, outHandle } from "./driver.ts";
import type { CheckStatus } from "./library-status.ts";

/** A product, apart from the addresses of its matrices. */
export interface ProductShape extends ProductSizes {
  readonly a: Omit<ProductOperand, "pointer">;
  readonly b: Omit<ProductOperand, "pointer">;
  readonly c: Omit<ProductOperand, "pointer" | "transposed">;
  /** Whether a bias [n], of C's type, is added. */
  readonly bias: boolean;
  /** Whether float factors are rounded to TF32. */
  readonly tf32: boolean;
}

/** Bytes to whose multiples the matrices begin, each a power of two up to 256. */
export interface Alignments {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** A product's descriptors. */
export interface Descriptors {
  readonly product: Pointer;
  /** Layouts of the library's A, B and C, column-major: our B, A and C. */
  readonly layouts: readonly [a: Pointer, b: Pointer, c: Pointer];
  readonly preference: Pointer;
}

const int = new Int32Array(new ArrayBuffer(4));
const long = new BigUint64Array(new ArrayBuffer(8));

interface Library {
  readonly symbols: CublasLtSymbols;
  readonly check: CheckStatus;
}

/** Takes what destroys a descriptor that has been made, and returns a status. */
type Made = (destroy: () => number) => void;

function setInt(
  { symbols, check }: Library,
  descriptor: Pointer,
  attribute: number,
  value: number,
) {
  int[0] = value;
  const status = symbols.cublasLtMatmulDescSetAttribute(descriptor, attribute, int, 4);
  check(status, `cublasLtMatmulDescSetAttribute ${attribute}`);
}

function createProduct(library: Library, { a, b, bias, tf32 }: ProductShape, made: Made): Pointer {
  const compute = tf32 ? ABI.CUBLAS_COMPUTE_32F_FAST_TF32 : ABI.CUBLAS_COMPUTE_32F;
  const status = library.symbols.cublasLtMatmulDescCreate(out, compute, ABI.CUDA_R_32F);
  library.check(status, "cublasLtMatmulDescCreate");
  const product = outHandle();
  made(() => library.symbols.cublasLtMatmulDescDestroy(product));
  const op = (transposed: boolean) => (transposed ? ABI.CUBLAS_OP_T : ABI.CUBLAS_OP_N);
  setInt(library, product, ABI.CUBLASLT_MATMUL_DESC_TRANSA, op(b.transposed));
  setInt(library, product, ABI.CUBLASLT_MATMUL_DESC_TRANSB, op(a.transposed));
  const epilogue = bias ? ABI.CUBLASLT_EPILOGUE_BIAS : ABI.CUBLASLT_EPILOGUE_DEFAULT;
  setInt(library, product, ABI.CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
  return product;
}

/** Row-major matrices as the library sees them: their transposes, column-major. */
function createLayouts(
  { symbols, check }: Library,
  { m, n, k, a, b, c }: ProductShape,
  made: Made,
) {
  function layout(type: keyof typeof CUBLAS_TYPES, rows: number, cols: number, ld: number) {
    const status = symbols.cublasLtMatrixLayoutCreate(out, CUBLAS_TYPES[type], cols, rows, ld);
    check(status, `cublasLtMatrixLayoutCreate ${rows}x${cols}`);
    const created = outHandle();
    made(() => symbols.cublasLtMatrixLayoutDestroy(created));
    return created;
  }
  return [
    b.transposed ? layout(b.type, n, k, b.ld) : layout(b.type, k, n, b.ld),
    a.transposed ? layout(a.type, k, m, a.ld) : layout(a.type, m, k, a.ld),
    layout(c.type, m, n, c.ld),
  ] as const;
}

function createPreference(
  { symbols, check }: Library,
  workspaceBytes: number,
  { a, b, c }: Alignments,
  made: Made,
): Pointer {
  check(symbols.cublasLtMatmulPreferenceCreate(out), "cublasLtMatmulPreferenceCreate");
  const preference = outHandle();
  made(() => symbols.cublasLtMatmulPreferenceDestroy(preference));
  const set = (attribute: number, value: Int32Array | BigUint64Array) =>
    check(
      symbols.cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, value.byteLength),
      `cublasLtMatmulPreferenceSetAttribute ${attribute}`,
    );
  long[0] = BigInt(workspaceBytes);
  set(ABI.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, long);
  for (const [attribute, bytes] of [
    [ABI.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b],
    [ABI.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a],
    [ABI.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c],
    [ABI.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c],
  ] as const) {
    int[0] = bytes;
    set(attribute, int);
  }
  return preference;
}

/** Creates and frees descriptors; none of this needs a device. */
export function ltDescriptors(symbols: CublasLtSymbols, check: CheckStatus) {
  const library = { symbols, check };
  return {
    /** Throws E_NATIVE, with nothing left behind. */
    create(shape: ProductShape, alignments: Alignments, workspaceBytes: number): Descriptors {
      const destroyers: (() => number)[] = [];
      const made: Made = (destroy) => void destroyers.push(destroy);
      try {
        return {
          product: createProduct(library, shape, made),
          layouts: createLayouts(library, shape, made),
          preference: createPreference(library, workspaceBytes, alignments, made),
        };
      } catch (error) {
        for (const destroy of destroyers) destroy(); // the first error counts
        throw error;
      }
    },

    /** Sets the address of the bias: the heuristic reads its alignment, the product its values. */
    setBias(product: Pointer, bias: number) {
      long[0] = BigInt(bias);
      const attribute = ABI.CUBLASLT_MATMUL_DESC_BIAS_POINTER;
      const status = symbols.cublasLtMatmulDescSetAttribute(product, attribute, long, 8);
      check(status, "cublasLtMatmulDescSetAttribute BIAS_POINTER");
    },

    freePreference(made: Pointer) {
      check(symbols.cublasLtMatmulPreferenceDestroy(made), "cublasLtMatmulPreferenceDestroy");
    },

    /** Frees all but the preference. */
    free({ product, layouts }: Pick<Descriptors, "product" | "layouts">) {
      const destroy = (each: Pointer) =>
        check(symbols.cublasLtMatrixLayoutDestroy(each), "cublasLtMatrixLayoutDestroy");
      closeAll([
        () => check(symbols.cublasLtMatmulDescDestroy(product), "cublasLtMatmulDescDestroy"),
        ...layouts.map((each) => () => destroy(each)),
      ]);
    },
  };
}
