import type { Buffer } from "./memory.ts";

/** Which classes `topLogProbabilities` returns. */
export interface TopShape {
  readonly rows: number;
  readonly classes: number;
  /** Classes per row. */
  readonly count: number;
  /** i32 [n, 2] of (row, class): never among the best. */
  readonly banned: Buffer | undefined;
  /**
   * i32 [n, 2] of (row, class), each pair once: a score s becomes s * penalty when negative, else
   * s / penalty.
   */
  readonly repeated: Buffer | undefined;
  readonly penalty: number;
  /**
   * "before": scores are log-probabilities before classes are banned and penalised, as in
   * transformers' beam search. "after": the remaining classes share the probability among them, as
   * in its greedy search.
   */
  readonly normalise: "before" | "after";
}

/** Kernels that choose the next token. */
export interface DecodingKernels {
  /**
   * Finds the classes with the highest log softmax(logits + bias) of each row, best first; of equal
   * scores the lower class comes first. Sets scores [rows, count] in the master dtype and ids i32
   * [rows, count]; where fewer than `count` classes are left, the rest are -Infinity and -1. For a
   * row with NaN or Infinity among its logits they are NaN and -1. logits [rows, classes] and bias
   * [classes] are in the master dtype; logits are overwritten.
   */
  topLogProbabilities(
    logits: Buffer,
    bias: Buffer,
    out: { ids: Buffer; scores: Buffer },
    shape: TopShape,
  ): void;
}
