import { type RankFrames, rankFrames } from "../rank-frames.ts";
import { sizedChart } from "../browser/sized-chart.ts";
import type { ReportedRun } from "../read-run.ts";
import { budgetChart } from "./budget.ts";
import type { Chart } from "./chart.ts";
import { curveCharts } from "./curves.ts";
import { heatMap } from "./heat-map.ts";
import { metricCharts } from "./metrics.ts";
import { moduleRankChart } from "./module-ranks.ts";
import { timeChart } from "./time.ts";
import { importanceChart, singularChart } from "./triplets.ts";

/** The charts of a report, by its sections. */
export interface ReportCharts {
  readonly metrics: readonly Chart[];
  readonly training: readonly Chart[];
  /** Of the first run that prunes; [] if none does. */
  readonly ranks: readonly Chart[];
  readonly time: readonly Chart[];
  /** Runs whose ranks moved, and how. */
  readonly moving: readonly { readonly run: ReportedRun; readonly frames: RankFrames }[];
}

/** Makes the charts of one run or several. */
export function chartsOf(runs: readonly ReportedRun[]): ReportCharts {
  const moving = runs.flatMap((run) => {
    const frames = rankFrames(run.log);
    return frames.frames.length > 1 ? [{ run, frames }] : [];
  });
  const first = moving[0];
  const ranks = first
    ? [
        heatMap(first.frames),
        budgetChart(first.run),
        moduleRankChart(first.frames, first.run.log.lastStep),
        singularChart(first.run.log),
        importanceChart(first.run.log),
      ]
    : [];
  return {
    metrics: metricCharts(runs),
    training: curveCharts(runs),
    ranks: ranks.filter((chart) => chart !== undefined),
    time: [timeChart(runs)].filter((chart) => chart !== undefined),
    moving,
  };
}

/** Every chart of a report, in the page's order. */
export const everyChart = ({ metrics, training, ranks, time }: ReportCharts): readonly Chart[] => [
  ...metrics,
  ...ranks,
  ...training,
  ...time,
];

/** A chart's whole specification at a size in pixels; without a width the page's script adds it. */
export function sized({ spec, height }: Chart, width: number | undefined): object {
  const whole = width === undefined ? spec : sizedChart(spec, width);
  if (spec["facet"] !== undefined) return whole;
  return {
    ...whole,
    height,
    autosize: { type: "fit-x", contains: "padding" },
  };
}
