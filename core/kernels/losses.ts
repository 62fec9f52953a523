import type { Buffer } from "./memory.ts";

/** The label of a row that the loss leaves out, as in torch. */
export const ignoredLabel = -100;

/** Rows of logits; those labelled `ignoredLabel` do not count. */
export interface VocabularyShape {
  readonly rows: number;
  readonly classes: number;
  /** Share of the target that is spread over all classes: 0 for one-hot targets. */
  readonly smoothing: number;
  /** Weight of each counted row in the loss. */
  readonly weight: number;
}

/**
 * The packed rows of each sequence, for the span loss. Targets are i32 [2, sequences]: a row of the
 * batch, or -1.
 */
export interface SpanShape {
  readonly sequences: number;
  readonly rows: number;
  /** i32 [sequences + 1]. */
  readonly offsets: Buffer;
  /**
   * i32 [2, sequences]: each sequence's padding row (-1 for none), then the number of padded
   * positions that it stands for.
   */
  readonly padding: Buffer;
}

/** Losses with their gradients. Unless noted, logits are activations and losses master values. */
export interface LossKernels {
  /** Sets loss[0] to the mean of -log softmax(logits)[label] over rows, dlogits to its gradient. */
  crossEntropy(
    logits: Buffer,
    labels: Buffer,
    loss: Buffer,
    dlogits: Buffer,
    rows: number,
    classes: number,
  ): void;
  /**
   * For each row whose label is not `ignoredLabel`, with p = softmax(logits + bias), adds
   * weight * ((1 - smoothing) * -log p[label] + smoothing * mean over classes of -log p) to
   * loss[0]. Sets dlogits, where given, to the gradient, 0 in rows left out; it may be logits.
   * logits and bias [classes] are in the master dtype.
   */
  addVocabularyLoss(
    logits: Buffer,
    bias: Buffer,
    labels: Buffer,
    loss: Buffer,
    dlogits: Buffer | undefined,
    shape: VocabularyShape,
  ): void;
  /** Sets loss[0] to the mean of (prediction - target)^2 over rows, dprediction to its gradient. */
  meanSquaredError(
    prediction: Buffer,
    target: Buffer,
    loss: Buffer,
    dprediction: Buffer,
    rows: number,
  ): void;
  /**
   * The loss of answer spans. logits [rows, 2]: columns are start and end. Each column's loss is
   * the mean of logsumexp(logits of the sequence) - logits[target] over the sequences whose target
   * is not -1, where a padding row counts as many times as it has padded positions. Sets loss[0] to
   * the mean of both columns (NaN if every sequence is left out), dlogits to its gradient.
   */
  spanLoss(logits: Buffer, targets: Buffer, loss: Buffer, dlogits: Buffer, shape: SpanShape): void;
}
