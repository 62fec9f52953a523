import type { ReportedRun } from "../read-run.ts";
import { type Chart, numberText } from "./chart.ts";

const phases = ["start", "training", "evaluation"] as const;

/** Where the time went, one bar a run; undefined if no run says so. */
export function timeChart(runs: readonly ReportedRun[]): Chart | undefined {
  const timed = runs.flatMap(({ name, time }) => (time ? [{ name, time }] : []));
  if (timed.length === 0) return undefined;
  const values = timed.flatMap(({ name, time }) =>
    phases.map((phase, order) => ({ run: name, phase, order, seconds: time[phase] })),
  );
  const spoken = timed.map(
    ({ name, time }) =>
      `${name}: ${phases.map((phase) => `${phase} ${numberText(time[phase])} s`).join(", ")}`,
  );
  return {
    id: "time",
    title: "Time by phase",
    about: "Start: reading data and weights, and the adapters' first values. Seconds.",
    label: `Time by phase. ${spoken.join("; ")}.`,
    height: 46 + 26 * timed.length,
    spec: {
      data: { values },
      mark: { type: "bar", height: 18, cornerRadius: 2 },
      encoding: {
        y: {
          field: "run",
          type: "nominal",
          title: null,
          sort: null,
          axis: timed.length > 1 ? { labelLimit: 130, domain: false } : null,
        },
        x: { field: "seconds", type: "quantitative", title: "seconds", stack: true },
        order: { field: "order" },
        color: {
          field: "phase",
          type: "nominal",
          scale: {
            domain: phases,
            range: ["var(--series-4)", "var(--series-1)", "var(--series-2)"],
          },
          legend: { title: null },
        },
        tooltip: [
          { field: "run", type: "nominal" },
          { field: "phase", type: "nominal" },
          { field: "seconds", type: "quantitative", format: ".5~g" },
        ],
      },
    },
  };
}
