import { type Chart, numberText } from "./chart.ts";

/** The metric of a configuration after some steps. */
export interface RungPoint {
  readonly configuration: string;
  readonly steps: number;
  readonly value: number;
  /** Whether the configuration is the best one. */
  readonly isBest: boolean;
}

/** A line for each configuration over the rungs of a sweep; the best one stands out. */
export function rungsChart(metric: string, points: readonly RungPoint[]): Chart {
  const best = points.filter(({ isBest }) => isBest).at(-1);
  const order = [...new Set(points.map(({ configuration }) => configuration))];
  const color = {
    condition: { test: "datum.isBest", value: "var(--series-2)" },
    value: "var(--series-1)",
  };
  const opacity = { condition: { test: "datum.isBest", value: 1 }, value: 0.5 };
  const tooltip = [
    { field: "configuration", type: "nominal" },
    { field: "steps", type: "quantitative" },
    { field: "value", type: "quantitative", title: metric, format: ".5~g" },
  ];
  return {
    id: "rungs",
    title: "Rungs",
    about: `${metric} on the rows held out of training, a line for each configuration; orange: the best.`,
    label: `Rungs: ${order.length} configurations${best ? `, the best ${best.configuration} with ${numberText(best.value)} after ${best.steps} steps` : ""}.`,
    height: 260,
    isWide: true,
    spec: {
      data: { values: points.toSorted((a, b) => Number(a.isBest) - Number(b.isBest)) },
      encoding: {
        x: {
          field: "steps",
          type: "quantitative",
          scale: { zero: false, nice: true },
          axis: { format: ",d" },
        },
        y: {
          field: "value",
          type: "quantitative",
          title: metric,
          scale: { zero: false, nice: true },
          axis: { format: "~g" },
        },
        detail: { field: "configuration", type: "nominal" },
        color,
        opacity,
      },
      layer: [
        { mark: { type: "line", strokeWidth: 1.5 } },
        { mark: { type: "point", filled: true, size: 60 }, encoding: { tooltip } },
      ],
    },
  };
}
