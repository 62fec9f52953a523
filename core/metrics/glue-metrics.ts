import type { GlueMetricName, GlueTask } from "../data/glue-tasks.ts";
import { accuracy, f1, matthewsCorrelation, type Values } from "./classification.ts";
import { hasNaN, isConstant, isNearlyConstant, pearson, spearman } from "./correlation.ts";

type Metric = (predictions: Values, labels: Values) => number;

const metrics: Readonly<Record<GlueMetricName, Metric>> = {
  accuracy,
  f1,
  matthews_correlation: matthewsCorrelation,
  pearson,
  spearmanr: spearman,
};

/** The metrics of a classification or regression task, by GLUE's names. */
export type TaskMetrics = Pick<GlueTask, "metrics">;

/**
 * A task's metrics by the reference's names; with more than one, `combined_score` is their mean.
 * predictions: class indices (argmax), or scores for regression; labels likewise. Undefined metrics
 * are NaN; `explainMetrics` gives the reason.
 */
export function glueMetrics(
  task: TaskMetrics,
  predictions: Values,
  labels: Values,
): Record<string, number> {
  const values: Record<string, number> = {};
  for (const name of task.metrics) {
    values[name] =
      labels.length < minExamples(name) ? Number.NaN : metrics[name](predictions, labels);
  }
  const all = Object.values(values);
  if (all.length > 1) values["combined_score"] = all.reduce((a, b) => a + b) / all.length;
  return values;
}

/** One line per metric that is undefined, 0 by convention or numerically unreliable. */
export function explainMetrics(task: TaskMetrics, predictions: Values, labels: Values): string[] {
  const lines: string[] = [];
  for (const name of task.metrics) {
    const reason = explain(name, predictions, labels);
    if (reason !== undefined) lines.push(`${name} ${reason}`);
  }
  return lines;
}

// --- internal ---

const minExamples = (name: GlueMetricName) => (name === "pearson" || name === "spearmanr" ? 2 : 1);

function explain(name: GlueMetricName, predictions: Values, labels: Values): string | undefined {
  if (labels.length < minExamples(name)) {
    return `is undefined: it needs ${minExamples(name)} or more examples, got ${labels.length}`;
  }
  return explanations[name](predictions, labels);
}

type Explanation = (predictions: Values, labels: Values) => string | undefined;

const explanations: Readonly<Record<GlueMetricName, Explanation>> = {
  accuracy: () => undefined,
  f1: explainF1,
  matthews_correlation: (predictions, labels) =>
    constantSide("is 0 by convention", predictions, labels),
  pearson: explainCorrelation,
  spearmanr: explainCorrelation,
};

function explainF1(predictions: Values, labels: Values): string | undefined {
  for (const values of [predictions, labels]) {
    for (let i = 0; i < values.length; i++) if (values[i] === 1) return undefined;
  }
  return "is 0 by convention: no example is of class 1 or predicted as class 1";
}

function explainCorrelation(predictions: Values, labels: Values): string | undefined {
  if (hasNaN(predictions)) return "is undefined: a prediction is NaN";
  const constant = constantSide("is undefined", predictions, labels);
  if (constant !== undefined) return constant;
  if (isNearlyConstant(predictions))
    return "may be inaccurate: the predictions are nearly constant";
  return undefined;
}

function constantSide(what: string, predictions: Values, labels: Values): string | undefined {
  if (isConstant(predictions)) return `${what}: all predictions are ${predictions[0]}`;
  if (isConstant(labels)) return `${what}: all labels are ${labels[0]}`;
  return undefined;
}
