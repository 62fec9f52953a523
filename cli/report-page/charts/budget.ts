import type { BudgetUnit } from "../../../core/adalora/budget.ts";
import { bucketsOf } from "../buckets.ts";
import type { ReportedRun } from "../read-run.ts";
import { type Chart, numberText, type Spec, stepAxis } from "./chart.ts";

/** A phase of the budget, in steps. */
export interface BudgetPhase {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

const MOST_POINTS = 400;

/**
 * The budget b(t) and the ranks that the masks kept, if the budget counts those rather than
 * parameters; undefined for a run without a budget.
 */
export function budgetChart(run: ReportedRun): Chart | undefined {
  const budget = bucketsOf(run.log.curves.budget, MOST_POINTS);
  const first = budget[0];
  const last = budget.at(-1);
  if (!first || !last) return undefined;
  const phases = budgetPhases(run);
  const unit = run.config["budgetUnit"] === "parameters" ? "parameters" : "ranks";
  const masks = unit === "ranks" ? run.log.masks : []; // they count triplets
  const kept = masks.map(({ step, kept: value }) => ({ step, value }));
  const series = [
    ...budget.map(({ step, mean }) => ({ step, value: mean, what: "budget" })),
    ...bucketsOf(
      { steps: kept.map(({ step }) => step), values: kept.map(({ value }) => value) },
      MOST_POINTS,
    ).map(({ step, mean }) => ({ step, value: mean, what: "kept by the mask" })),
  ];
  const lastStep = Math.max(run.log.lastStep, ...phases.map(({ to }) => to));
  return {
    id: "budget",
    title: unit === "ranks" ? "Rank budget" : "Parameter budget",
    about: `${unit === "ranks" ? "The sum of ranks that is allowed, and what each mask kept" : "The adapter parameters that are allowed"}: flat in the warm-up, a cubic fall while budgeting, flat in the final tuning.`,
    label: `${unit === "ranks" ? "Rank" : "Parameter"} budget: ${numberText(first.mean)} at step ${first.step}, ${numberText(last.mean)} at step ${last.step}.`,
    height: 220,
    spec: spec(series, phases, lastStep, unit),
  };
}

// --- internal ---

/** The phases of a run that prunes, without empty ones; [] for others and for older logs. */
function budgetPhases({ log }: Pick<ReportedRun, "log">): readonly BudgetPhase[] {
  const count = (key: string) => Number(log.head[key]);
  const [steps, warmup, final] = [count("steps"), count("init_warmup"), count("final_warmup")];
  if (!(steps > 0 && warmup + final > 0 && warmup + final <= steps)) return [];
  const phases = [
    { name: "warm-up", from: 0, to: warmup },
    { name: "budgeting", from: warmup, to: steps - final },
    { name: "final tuning", from: steps - final, to: steps },
  ];
  return phases.filter(({ from, to }) => to > from);
}

function spec(
  series: readonly object[],
  phases: readonly BudgetPhase[],
  lastStep: number,
  unit: BudgetUnit,
): Spec {
  const x = stepAxis(lastStep);
  const what = {
    field: "what",
    type: "nominal",
    scale: {
      domain: ["budget", "kept by the mask"],
      range: ["var(--series-1)", "var(--series-2)"],
    },
    legend: { title: null },
  };
  const y = {
    field: "value",
    type: "quantitative",
    title: `sum of ${unit}`,
    scale: { zero: true },
  };
  const tooltip = [
    { field: "what", type: "nominal", title: " " },
    { field: "step", type: "quantitative" },
    { field: "value", type: "quantitative", title: unit },
  ];
  return {
    layer: [
      ...phaseLayers(phases, x),
      {
        data: { values: series },
        encoding: { x, y, color: what },
        layer: [
          { mark: { type: "line", interpolate: "step-after", strokeWidth: 1.75, clip: true } },
          { mark: { type: "point", size: 70, opacity: 0, filled: true }, encoding: { tooltip } },
        ],
      },
    ],
    resolve: { scale: { color: "independent" } },
  };
}

/** Every other phase is shaded, and each has its name at the bottom. */
function phaseLayers(phases: readonly BudgetPhase[], x: ReturnType<typeof stepAxis>): Spec[] {
  const bands = phases.map((phase, i) => ({ ...phase, shade: i % 2 }));
  return [
    {
      data: { values: bands },
      mark: { type: "rect", opacity: 0.5, tooltip: false },
      encoding: {
        x: { ...x, field: "from" },
        x2: { field: "to" },
        color: {
          field: "shade",
          type: "ordinal",
          scale: { domain: [0, 1], range: ["transparent", "var(--band)"] },
          legend: null,
        },
      },
    },
    {
      data: { values: bands },
      transform: [{ calculate: "(datum.from + datum.to) / 2", as: "middle" }],
      mark: { type: "text", baseline: "bottom", fontSize: 10.5, dy: -4 },
      encoding: {
        x: { ...x, field: "middle" },
        y: { value: "height" },
        text: { field: "name", type: "nominal" },
      },
    },
  ];
}
