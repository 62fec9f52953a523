import { errors } from "../errors.ts";

/** Class indices or scores, one per example. */
export type Values = ArrayLike<number>;

/** Index of the largest logit, the first of equal ones; NaN counts as the largest, as in numpy. */
export function argmax(logits: Values): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i])) return i;
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

/** Share of equal entries; NaN for empty lists. */
export function accuracy(predictions: Values, labels: Values): number {
  checkSameLength("accuracy", predictions, labels);
  let equal = 0;
  for (let i = 0; i < labels.length; i++) if (predictions[i] === labels[i]) equal++;
  return equal / labels.length;
}

/**
 * Binary F1 of class 1, as scikit-learn's `f1_score`: 0 if class 1 occurs in neither list. Throws
 * E_METRIC for empty lists.
 */
export function f1(predictions: Values, labels: Values): number {
  checkSameLength("f1", predictions, labels);
  checkNotEmpty("f1", labels);
  let truePositives = 0;
  let positives = 0;
  for (let i = 0; i < labels.length; i++) {
    if (predictions[i] === 1) positives++;
    if (labels[i] === 1) positives++;
    if (predictions[i] === 1 && labels[i] === 1) truePositives++;
  }
  return positives === 0 ? 0 : (2 * truePositives) / positives;
}

/**
 * Matthews correlation for any number of classes, as scikit-learn's `matthews_corrcoef`: 0 if
 * predictions or labels are all of one class. Throws E_METRIC for empty lists.
 */
export function matthewsCorrelation(predictions: Values, labels: Values): number {
  checkSameLength("matthews_correlation", predictions, labels);
  checkNotEmpty("matthews_correlation", labels);
  const n = labels.length;
  const predicted = countsOf(predictions);
  const labelled = countsOf(labels);
  let equal = 0;
  for (let i = 0; i < n; i++) if (predictions[i] === labels[i]) equal++;
  const covariance = equal * n - dot(predicted, labelled);
  const predictedVariance = n * n - dot(predicted, predicted);
  const labelledVariance = n * n - dot(labelled, labelled);
  if (predictedVariance * labelledVariance === 0) return 0;
  return covariance / Math.sqrt(predictedVariance * labelledVariance);
}

/** Throws E_METRIC if the lists differ in length. */
export function checkSameLength(metric: string, predictions: Values, labels: Values): void {
  if (predictions.length === labels.length) return;
  throw errors.metric(
    metric,
    `needs a prediction for each label: got ${predictions.length} and ${labels.length}`,
  );
}

// --- internal ---

function checkNotEmpty(metric: string, labels: Values): void {
  if (labels.length === 0) throw errors.metric(metric, "needs at least 1 example, got none");
}

function countsOf(values: Values): Map<number, number> {
  const counts = new Map<number, number>();
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return counts;
}

function dot(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const [value, count] of a) sum += count * (b.get(value) ?? 0);
  return sum;
}
