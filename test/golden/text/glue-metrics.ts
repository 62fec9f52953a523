import { AdaloraError } from "../../../core/errors.ts";
import { accuracy, argmax, f1, matthewsCorrelation } from "../../../core/metrics/classification.ts";
import { pearson, spearman } from "../../../core/metrics/correlation.ts";
import { explainMetrics, glueMetrics } from "../../../core/metrics/glue-metrics.ts";
import type { GlueMetricName } from "../../../core/data/glue-tasks.ts";
import { goldenText } from "./golden-file.ts";
import { Findings, type FileCheck } from "./verdict.ts";

/** A value, NaN (null and `nan`), or an exception; with what the library warned of. */
interface Scored {
  readonly value?: number | null;
  readonly nan?: true;
  readonly error?: string;
  readonly warnings?: readonly string[];
}

type MetricCase = Readonly<Partial<Record<GlueMetricName, Scored>>> & {
  readonly name: string;
  /** null: NaN. */
  readonly preds: readonly (number | null)[];
  readonly labels: readonly number[];
};

interface GoldenMetrics {
  readonly classification: readonly MetricCase[];
  readonly regression: readonly MetricCase[];
  readonly argmax: readonly {
    readonly name: string;
    readonly logits: readonly (readonly number[])[];
    readonly argmax: readonly number[];
  }[];
  readonly combined_score: readonly {
    readonly metrics: Readonly<Record<string, number>>;
    readonly combined_score: number;
  }[];
}

const functions = {
  accuracy,
  f1,
  matthews_correlation: matthewsCorrelation,
  pearson,
  spearmanr: spearman,
};
const metricNames: readonly GlueMetricName[] = [
  "accuracy",
  "f1",
  "matthews_correlation",
  "pearson",
  "spearmanr",
];
const closeness = { tolerance: 1e-9 };

/** `glue-metrics.json`: scikit-learn's and scipy's values, NaNs, exceptions and warnings; argmax; the combined score. */
export const checkGlueMetrics: FileCheck = (folder, file) => {
  const findings = new Findings();
  const golden: GoldenMetrics = JSON.parse(goldenText(folder, file));
  const cases = [...golden.classification, ...golden.regression];
  for (const one of cases) compareCase(one, findings);
  for (const { name, logits, argmax: want } of golden.argmax) {
    findings.equal("argmax", name, logits.map(argmax), want);
  }
  // the rule is the mean of the metrics; compareCase holds ours to it
  for (const { metrics, combined_score: want } of golden.combined_score) {
    findings.close(
      "combined_score",
      JSON.stringify(metrics),
      mean(Object.values(metrics)),
      want,
      closeness,
    );
  }
  return findings.verdict(cases.length);
};

function compareCase(one: MetricCase, findings: Findings): void {
  const predictions = one.preds.map((value) => value ?? Number.NaN);
  const scored = metricNames.filter((name) => one[name] !== undefined);
  for (const name of scored) {
    const want = one[name] ?? {};
    const got = valueOf(() => functions[name](predictions, one.labels));
    if (want.error !== undefined) {
      findings.equal("error", `${one.name} ${name}`, got === undefined, true);
    } else {
      findings.close(name, one.name, got ?? Infinity, want.value ?? Number.NaN, closeness);
    }
    if (want.warnings === undefined) continue;
    const lines = explainMetrics({ metrics: [name] }, predictions, one.labels);
    findings.equal("warning", `${one.name} ${name}`, lines.length, 1);
  }
  compareTogether(one, scored, predictions, findings);
}

/** What evaluation reports: the same values by name and, of more than one, their mean. */
function compareTogether(
  one: MetricCase,
  metrics: readonly GlueMetricName[],
  predictions: readonly number[],
  findings: Findings,
): void {
  const values = glueMetrics({ metrics }, predictions, one.labels);
  const wants = metrics.map((name) => one[name]?.value ?? Number.NaN);
  for (const [i, name] of metrics.entries()) {
    findings.close(
      `reported ${name}`,
      one.name,
      values[name] ?? Infinity,
      wants[i] ?? Number.NaN,
      closeness,
    );
  }
  if (metrics.length < 2) return;
  findings.close(
    "reported combined_score",
    one.name,
    values["combined_score"] ?? Infinity,
    mean(wants),
    closeness,
  );
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function valueOf(body: () => number): number | undefined {
  try {
    return body();
  } catch (error) {
    if (error instanceof AdaloraError) return undefined;
    throw error;
  }
}
