import type { Backend, Buffer, DType } from "../backend.ts";

/** Bytes of one number. */
export const elementBytes: Readonly<Record<DType, number>> = { f64: 8, f32: 4, bf16: 2, i32: 4 };

const nothing = () => {};

/** Entries that neither make a buffer nor hand anything back. */
const kernels = {
  zero: nothing,
  copy: nothing,
  upload: nothing,
  gemm: nothing,
  addLowRank: nothing,
  addFactorGradient: nothing,
  addBias: nothing,
  addColumnSums: nothing,
  addColumnDots: nothing,
  add: nothing,
  scale: nothing,
  scaleBy: nothing,
  activate: nothing,
  activationBackward: nothing,
  dropout: nothing,
  gatherRows: nothing,
  scatterAddRows: nothing,
  unfold: nothing,
  foldAdd: nothing,
  addLayerNorm: nothing,
  addLayerNormBackward: nothing,
  disentangledAttention: nothing,
  disentangledAttentionBackward: nothing,
  attention: nothing,
  attentionBackward: nothing,
  attendChosenRows: nothing,
  topLogProbabilities: nothing,
  crossEntropy: nothing,
  spanLoss: nothing,
  addVocabularyLoss: nothing,
  meanSquaredError: nothing,
  sumOfSquares: nothing,
  clipByNorm: nothing,
  adamw: nothing,
  tripletScores: nothing,
  absolute: nothing,
  keepTop: nothing,
  applyMask: nothing,
  orthogonality: nothing,
};

/**
 * Counts what would be allocated, and computes nothing: a step on it tells what the step needs without taking its time or
 * memory. Weights are adopted for free, as where a checkpoint's file is used in place; downloads give zeros.
 */
export function createCountingBackend(types: Pick<Backend, "activation" | "master">): Backend {
  const owned = new Set<Buffer>();
  let live = 0;
  let peak = 0;
  const sizeOf = ({ dtype, length }: Buffer) => length * elementBytes[dtype];
  return {
    name: "counting",
    ...types,
    alloc(dtype, length) {
      const buffer = { dtype, length };
      owned.add(buffer);
      live += sizeOf(buffer);
      peak = Math.max(peak, live);
      return buffer;
    },
    free(buffer) {
      if (owned.delete(buffer)) live -= sizeOf(buffer);
    },
    view: ({ dtype }, _offset, length) => ({ dtype, length }),
    download: ({ length }) => new Float64Array(length),
    adopt: ({ shape }, dtype) => ({ dtype, length: shape.reduce((n, size) => n * size, 1) }),
    memory: () => ({ live, peak }),

    ...kernels,
  };
}
