import { bucketsOf } from "../buckets.ts";
import type { StepField } from "../read-log.ts";
import type { ReportedRun } from "../read-run.ts";
import {
  type Chart,
  logAxis,
  numberText,
  runColours,
  runLegend,
  type Spec,
  stepAxis,
} from "./chart.ts";
import { inPanels, MOST_LINES } from "./panels.ts";

interface Curve {
  readonly field: StepField;
  readonly title: string;
  readonly about: string;
  readonly axis: string;
  /** How its axis shows numbers; default: with up to 6 digits. */
  readonly format?: string;
  /** Whether the scale is logarithmic where all values are positive. */
  readonly isLog?: boolean;
}

const curves: readonly Curve[] = [
  {
    field: "task_loss",
    title: "Training loss",
    about: "The task's loss of each logged step, without the orthogonality term.",
    axis: "loss",
  },
  {
    field: "orth_loss",
    title: "Orthogonality residual",
    about: "How far P and Q are from orthonormal, averaged over the matrices.",
    axis: "residual",
    isLog: true,
  },
  {
    field: "lr",
    title: "Learning rate",
    about: "What the optimizer used at each logged step.",
    axis: "learning rate",
  },
  {
    field: "grad_norm",
    title: "Gradient norm",
    about: "Before clipping.",
    axis: "norm",
    isLog: true,
  },
  {
    field: "tokens_per_second",
    title: "Speed",
    about: "Tokens trained on a second; padding is never computed.",
    axis: "tokens/s",
    format: ",d",
  },
];

/** Points of all runs together: enough for the eye, small enough for the page. */
const MOST_POINTS = 480;
/** Bands of more runs hide each other, except in panels. */
const MOST_BANDS = 3;

/** Curves over the steps, one line a run; curves without values are left out. */
export function curveCharts(runs: readonly ReportedRun[]): readonly Chart[] {
  return curves.flatMap((curve) => {
    const chart = curveChart(curve, runs);
    return chart ? [chart] : [];
  });
}

// --- internal ---

function curveChart(curve: Curve, runs: readonly ReportedRun[]): Chart | undefined {
  const { field, title, about } = curve;
  const most = Math.max(60, Math.floor(MOST_POINTS / runs.length));
  const values = runs.flatMap(({ name, log }) =>
    bucketsOf(log.curves[field], most).map((bucket) => ({ run: name, ...bucket })),
  );
  if (!values.some(({ high }) => high !== 0)) return undefined;
  const isLog = curve.isLog === true && values.every(({ low }) => low > 0);
  const hasBands = runs.length <= MOST_BANDS || runs.length > MOST_LINES;
  const hasRanges = hasBands && values.some(({ low, high }) => low !== high);
  const lastStep = Math.max(...runs.map(({ log }) => log.lastStep));
  const last = values.at(-1)!;
  const range = "; the band spans the lowest and the highest value";
  const names = runs.map(({ name }) => name);
  const chart = {
    id: field.replaceAll("_", "-"),
    title,
    about: about + (hasRanges ? ` Each point stands for several logged steps${range}.` : ""),
    label: `${title}: ${numberText(values[0]!.mean)} at step ${values[0]!.step}, ${numberText(last.mean)} at step ${last.step}.`,
    height: 200,
    spec: spec({ curve, values, isLog, hasRanges, lastStep, names }),
  };
  return inPanels(chart, { runs: names, line: "run" });
}

interface CurveData {
  readonly curve: Curve;
  readonly values: readonly object[];
  readonly isLog: boolean;
  readonly hasRanges: boolean;
  readonly lastStep: number;
  readonly names: readonly string[];
}

function spec({ curve, values, isLog, hasRanges, lastStep, names }: CurveData): Spec {
  const { axis, format } = curve;
  const scale = isLog ? { type: "log" } : { zero: false };
  const axisFormat = isLog ? logAxis : { format: format ?? "~g" };
  const tooltip = [
    ...(names.length > 1 ? [{ field: "run", type: "nominal" }] : []),
    { field: "step", type: "quantitative" },
    { field: "mean", type: "quantitative", title: axis, format: ".5~g" },
  ];
  const band = {
    mark: { type: "area", opacity: 0.18, clip: true },
    encoding: {
      y: { field: "low", type: "quantitative", scale, title: axis, axis: axisFormat },
      y2: { field: "high" },
    },
  };
  const y = { field: "mean", type: "quantitative", scale, title: axis, axis: axisFormat };
  return {
    data: { values },
    encoding: {
      x: stepAxis(lastStep),
      color: {
        field: "run",
        type: "nominal",
        scale: { domain: names, range: runColours },
        legend: runLegend(names),
      },
    },
    layer: [
      ...(hasRanges ? [band] : []),
      {
        mark: { type: "line", strokeWidth: 1.75, strokeJoin: "round", clip: true },
        encoding: { y },
      },
      { mark: { type: "point", size: 90, opacity: 0, filled: true }, encoding: { y, tooltip } },
    ],
  };
}
