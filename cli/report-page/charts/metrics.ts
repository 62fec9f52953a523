import type { LoggedEvaluation } from "../read-log.ts";
import type { ReportedRun } from "../read-run.ts";
import { type Chart, numberText, runColours, runLegend, type Spec, stepAxis } from "./chart.ts";
import { inPanels } from "./panels.ts";

/** At most this many charts: SQuAD 2.0 has more than ten metrics, of which the first matter. */
const MOST_CHARTS = 4;

/** A chart for each metric of the first split, with a point at every evaluation. */
export function metricCharts(runs: readonly ReportedRun[]): readonly Chart[] {
  const first = runs.flatMap(({ log }) => log.evaluations)[0];
  if (!first) return [];
  const names = Object.keys(first.metrics).toSorted((a, b) => order(a) - order(b));
  return names.slice(0, MOST_CHARTS).map((name) => metricChart(name, runs));
}

// --- internal ---

/** The loss last, and beside the metric that selects the best step only where there is room. */
const order = (metric: string) => (metric === "loss" ? 1 : 0);

interface Point {
  readonly run: string;
  readonly split: string;
  readonly line: string;
  readonly step: number;
  readonly value: number;
  readonly isBest: boolean;
}

function pointsOf(metric: string, { name, log, result }: ReportedRun): readonly Point[] {
  const valid = log.evaluations.filter(({ metrics }) => Number.isFinite(metrics[metric]));
  const splits = new Set(valid.map(({ split }) => split));
  return valid.map(({ step, split, metrics }: LoggedEvaluation) => ({
    run: name,
    split,
    line: splits.size > 1 ? `${name} ${split}` : name,
    step,
    value: metrics[metric]!,
    isBest: result?.best?.step === step,
  }));
}

function metricChart(metric: string, runs: readonly ReportedRun[]): Chart {
  const values = runs.flatMap((run) => pointsOf(metric, run));
  const lastStep = Math.max(...runs.map(({ log }) => log.lastStep));
  const last = values.at(-1);
  const title = `Evaluation: ${metric}`;
  const chart = {
    id: `metric-${metric.replaceAll(/\W+/g, "-")}`,
    title,
    about: `A point for each evaluation${values.some(({ isBest }) => isBest) ? "; the ring marks the step that was chosen as the best" : ""}.`,
    label: last
      ? `${title}: ${numberText(last.value)} at step ${last.step}, ${values.length} evaluations.`
      : title,
    height: 200,
    spec: spec(metric, values, lastStep),
  };
  return inPanels(chart, { runs: runs.map(({ name }) => name), line: "line" });
}

function spec(metric: string, values: readonly Point[], lastStep: number): Spec {
  const lines = [...new Set(values.map(({ line }) => line))];
  const tooltip = [
    { field: "line", type: "nominal", title: "run" },
    { field: "step", type: "quantitative" },
    { field: "value", type: "quantitative", title: metric, format: ".5~g" },
  ];
  const ring = { type: "point", size: 190, filled: false, strokeWidth: 1.5 };
  return {
    data: { values },
    encoding: {
      x: stepAxis(lastStep),
      y: {
        field: "value",
        type: "quantitative",
        title: metric,
        scale: { zero: false, nice: true },
        axis: { format: "~g" },
      },
      color: {
        field: "line",
        type: "nominal",
        scale: { domain: lines, range: runColours },
        legend: runLegend(lines),
      },
    },
    layer: [
      { mark: { type: "line", strokeWidth: 1.75, strokeJoin: "round" } },
      { mark: { type: "point", size: 50, filled: true, opacity: 1 }, encoding: { tooltip } },
      { transform: [{ filter: "datum.isBest" }], mark: ring },
    ],
  };
}
