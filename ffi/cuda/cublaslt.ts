import { ABI } from "./abi.ts";
import { closedIfFailed, type OnOpen, whileOpen } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import type { ProductOperand, ProductSizes, Workspace } from "./cublas.ts";
import { type Descriptors, ltDescriptors } from "./cublaslt-descriptors.ts";
import { type CublasLtSymbols, openCublasLtLibrary } from "./cublaslt-symbols.ts";
import { out, outHandle } from "./driver.ts";
import { type CheckStatus, cublasCheck } from "./library-status.ts";
import { alignmentOf, planCache, type Product } from "./plan-cache.ts";

/** An open cuBLASLt on the compute stream. */
export interface CublasLt {
  /**
   * Queues row-major C[m, n] = op(A) op(B) + beta C + bias. `bias`: the address of n elements of
   * C's type. Returns false, with nothing queued, where the library has no algorithm for the shape.
   * Throws E_NATIVE.
   */
  multiply(
    sizes: ProductSizes,
    a: ProductOperand,
    b: ProductOperand,
    c: Omit<ProductOperand, "transposed">,
    bias?: number,
  ): boolean;
}

/** How a product of one shape and alignment is computed. */
interface Plan extends Pick<Descriptors, "product" | "layouts"> {
  /** cublasLtMatmulAlgo_t; absent: the library has none, or has refused it. */
  algorithm: Uint8Array | undefined;
}

/**
 * Opens cuBLASLt, which shares a workspace with cuBLAS: one stream orders their products. The
 * algorithm of a shape is chosen once, by the library's heuristic, and kept.
 */
export function openCublasLt(
  context: CudaContext,
  candidates: readonly string[],
  workspace: Workspace,
  onOpen: OnOpen,
  tf32 = false,
): CublasLt {
  const { symbols } = openCublasLtLibrary(candidates);
  const check = cublasCheck(context);
  check(symbols.cublasLtCreate(out), "cublasLtCreate");
  const handle = outHandle();
  onOpen(() => check(symbols.cublasLtDestroy(handle), "cublasLtDestroy"));
  const descriptors = ltDescriptors(symbols, check);
  const choose = algorithmChooser(symbols, check, handle);
  const makePlan = planMaker(descriptors, choose, workspace, tf32);
  const plans = planCache(makePlan, (plan) => descriptors.free(plan));
  onOpen(() => plans.close());
  const [zero, one] = [new Float32Array(new ArrayBuffer(4)), new Float32Array(new ArrayBuffer(4))];
  one[0] = 1;
  return {
    multiply(sizes, a, b, c, bias) {
      const plan = plans.find(sizes, a, b, c, bias);
      const { product, layouts, algorithm } = plan;
      if (algorithm === undefined) return false;
      if (bias !== undefined) descriptors.setBias(product, bias);
      const status = symbols.cublasLtMatmul(
        handle, product, one, b.pointer, layouts[0], a.pointer, layouts[1],
        sizes.beta === 1 ? one : zero, c.pointer, layouts[2], c.pointer, layouts[2],
        algorithm, workspace.pointer, workspace.bytes, context.stream,
      ); // prettier-ignore
      if (status === 0) return true;
      if (status !== NOT_SUPPORTED)
        check(status, `cublasLtMatmul ${sizes.m}x${sizes.n}x${sizes.k}`);
      plan.algorithm = undefined; // the heuristic may name one that the device does not run
      return false;
    },
  };
}

type Choose = ReturnType<typeof algorithmChooser>;

/** Returns a function that makes the plan of a product. */
function planMaker(
  descriptors: ReturnType<typeof ltDescriptors>,
  choose: Choose,
  workspace: Workspace,
  tf32: boolean,
): (...product: Product) => Plan {
  return (sizes, a, b, c, bias) => {
    // The library has TF32 algorithms for float factors only.
    const shape = { ...sizes, a, b, c, bias: bias !== undefined, tf32: tf32 && a.type === "f32" };
    const alignments = {
      a: alignmentOf(a.pointer),
      b: alignmentOf(b.pointer),
      c: alignmentOf(c.pointer),
    };
    const { preference, ...made } = descriptors.create(shape, alignments, workspace.bytes);
    const free = () => descriptors.free(made);
    return closedIfFailed(free, () => {
      const algorithm = whileOpen((onOpen) => {
        onOpen(() => descriptors.freePreference(preference));
        if (bias !== undefined) descriptors.setBias(made.product, bias);
        return choose(made, preference);
      });
      return { ...made, algorithm };
    });
  };
}

/** Asks the library's heuristic for its first choice. */
function algorithmChooser(
  symbols: CublasLtSymbols,
  check: CheckStatus,
  handle: ReturnType<typeof outHandle>,
) {
  const size = ABI["sizeof cublasLtMatmulHeuristicResult_t"];
  const result = new Int32Array(new ArrayBuffer(size));
  const found = new Int32Array(new ArrayBuffer(4));
  return (
    { product, layouts: [a, b, c] }: Pick<Descriptors, "product" | "layouts">,
    preference: Descriptors["preference"],
  ): Uint8Array | undefined => {
    found[0] = 0;
    const status = symbols.cublasLtMatmulAlgoGetHeuristic(
      handle, product, a, b, c, c, preference, 1, result, found,
    ); // prettier-ignore
    if (status === NOT_SUPPORTED) return undefined;
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    const state = result[ABI["cublasLtMatmulHeuristicResult_t.state"] / 4];
    if (found[0] === 0 || state !== 0) return undefined;
    const algorithm = new Uint8Array(new ArrayBuffer(ABI["sizeof cublasLtMatmulAlgo_t"]));
    algorithm.set(new Uint8Array(result.buffer, 0, algorithm.length));
    return algorithm;
  };
}

/** CUBLAS_STATUS_NOT_SUPPORTED: there is no algorithm. */
const NOT_SUPPORTED = 15;
