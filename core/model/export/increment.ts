import type { Factors } from "../../adalora/low-rank-svd.ts";
import { type Matrix, product } from "../../matrix.ts";
import { toFloat64 } from "../../io/float-conversion.ts";
import type { AdaLoraModule, LoraModule, PeftAdapter } from "../../io/peft-adapter.ts";
import { float32Tensor, type StoredTensor } from "../../io/stored-tensor.ts";
import { adapterScale } from "../../nn/adapter.ts";

/** The increment of one adapted layer in f64: scale · B diag(E) A. */
export interface Increment {
  readonly path: string;
  readonly rank: number;
  readonly scale: number;
  /** [rank, in] */
  readonly a: Matrix;
  /** [rank]; undefined in LoRA. */
  readonly e: Float64Array | undefined;
  /** [out, rank] */
  readonly b: Matrix;
}

/** The increment of a module of an adapter. */
export function incrementOf(adapter: PeftAdapter, module: AdaLoraModule | LoraModule): Increment {
  const rank = module.A.shape[0] ?? 0;
  return {
    path: module.path,
    rank,
    scale: scaleOf(adapter, module),
    a: matrixOf(module.A),
    e: "E" in module ? toFloat64(module.E) : undefined,
    b: matrixOf(module.B),
  };
}

/** diag(E) A, [rank, in]; A itself in LoRA. */
export function scaledA({ a, e }: Pick<Increment, "a" | "e">): Matrix {
  if (e === undefined) return a;
  const values = a.values.map((value, i) => value * e[Math.floor(i / a.cols)]!);
  return { ...a, values };
}

/** B and diag(E) A, whose product is the increment without its scale. */
export const factorsOf = (increment: Increment): Factors => ({
  b: increment.b,
  a: scaledA(increment),
});

/** The increment's outputs for inputs x [n, in]: [n, out]. */
export function applyIncrement(increment: Increment, x: Matrix): Matrix {
  const { scale, b, rank } = increment;
  const inner = new Float64Array(x.rows * rank);
  const a = scaledA(increment);
  for (let n = 0; n < x.rows; n++) {
    for (let t = 0; t < rank; t++) {
      let sum = 0;
      for (let i = 0; i < x.cols; i++) sum += x.values[n * x.cols + i]! * a.values[t * x.cols + i]!;
      inner[n * rank + t] = scale * sum;
    }
  }
  const bT = { rows: rank, cols: b.rows, values: new Float64Array(b.values.length) };
  for (let o = 0; o < b.rows; o++) {
    for (let t = 0; t < rank; t++) bT.values[t * b.rows + o] = b.values[o * rank + t]!;
  }
  return product({ rows: x.rows, cols: rank, values: inner }, bT);
}

/** A stored tensor of two dimensions in f64. `where`: its name, for an error. */
export function matrixOf(tensor: StoredTensor, where?: string): Matrix {
  const [rows = 0, cols = 0] = tensor.shape;
  return { rows, cols, values: toFloat64(tensor, where) };
}

/** A matrix as a stored tensor in f32. */
export function tensorOf({ rows, cols, values }: Matrix): StoredTensor {
  return float32Tensor([rows, cols], Float32Array.from(values));
}

// --- internal ---

/** 0 at rank 0, where LoRA's alpha / rank is undefined. */
function scaleOf(adapter: PeftAdapter, module: AdaLoraModule | LoraModule): number {
  if (adapter.method === "adalora") return adapterScale(adapter.alpha, adapter.initRank, true);
  const rank = module.A.shape[0] ?? 0;
  return "alpha" in module && rank > 0 ? module.alpha / rank : 0;
}
