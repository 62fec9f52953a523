import type { Backend, Buffer, DType } from "../backend.ts";
import { saveProbabilities } from "../kernels/attention.ts";
import { composedLinears } from "./composed-linears.ts";

/** Bytes per element. */
export const elementBytes: Readonly<Record<DType, number>> = { f64: 8, f32: 4, bf16: 2, i32: 4 };

const noop = () => {};

/** Entries that return nothing. */
const kernels = {
  zero: noop,
  copy: noop,
  upload: noop,
  gemm: noop,
  addLowRank: noop,
  addFactorGradient: noop,
  addBias: noop,
  addColumnSums: noop,
  addColumnDots: noop,
  add: noop,
  scale: noop,
  scaleBy: noop,
  activate: noop,
  activationBackward: noop,
  dropout: noop,
  addDropout: noop,
  gatedActivation: noop,
  gatedActivationBackward: noop,
  gatherRows: noop,
  scatterAddRows: noop,
  unfold: noop,
  foldAdd: noop,
  addLayerNorm: noop,
  addLayerNormBackward: noop,
  rmsNorm: noop,
  rmsNormBackward: noop,
  rotate: noop,
  disentangledAttention: noop,
  disentangledAttentionBackward: noop,
  attention: noop,
  attentionBackward: noop,
  attendChosenRows: noop,
  topLogProbabilities: noop,
  crossEntropy: noop,
  spanLoss: noop,
  addVocabularyLoss: noop,
  meanSquaredError: noop,
  sumOfSquares: noop,
  clipByNorm: noop,
  adamw: noop,
  tripletScores: noop,
  absolute: noop,
  keepTop: noop,
  applyMask: noop,
  orthogonality: noop,
};

/** What a counting backend must know of the backend that it stands for. */
export type CountedBackend = Pick<Backend, "activation" | "master"> &
  /** Default: attention saves its probabilities as activations. */
  Partial<Pick<Backend, "disentangledSaved">>;

/**
 * Creates a backend that counts allocations and computes nothing: a training step on it measures
 * the step's memory without spending its time or memory. Adopted weights count nothing, as where a
 * checkpoint's file is used in place. Downloads return zeros.
 */
export function createCountingBackend(counted: CountedBackend): Backend {
  const owned = new Set<Buffer>();
  let live = 0;
  let peak = 0;
  const sizeOf = ({ dtype, length }: Buffer) => length * elementBytes[dtype];
  return {
    name: "counting",
    disentangledSaved: saveProbabilities(counted.activation),
    ...counted,
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
    ...composedLinears,
  };
}
