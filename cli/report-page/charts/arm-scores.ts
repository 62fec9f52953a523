import { type Chart, numberText } from "./chart.ts";

/** An arm's scores by seed. */
export interface ArmScores {
  readonly name: string;
  readonly values: readonly { readonly seed: number; readonly value: number }[];
  readonly mean: number | undefined;
}

/** An arm's mean difference from the baseline, with its interval. */
export interface ArmDifference {
  readonly name: string;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** A point for each run, and a stroke at the mean of each arm. */
export function scoresChart(metric: string, arms: readonly ArmScores[]): Chart {
  const values = arms.flatMap(({ name, values: all }) =>
    all.map(({ seed, value }) => ({ arm: name, seed, value })),
  );
  const means = arms.flatMap(({ name, mean }) => (mean === undefined ? [] : [{ arm: name, mean }]));
  const spoken = means.map(({ arm, mean }) => `${arm} ${numberText(mean)}`).join(", ");
  return {
    id: "scores",
    title: `${metric} of each run`,
    about: "A point for each seed; the stroke is the arm's mean.",
    label: `${metric} of each run. Means: ${spoken}.`,
    height: rowHeight(arms.length),
    spec: {
      encoding: { y: armAxis(arms.map(({ name }) => name)) },
      layer: [
        {
          data: { values: means },
          mark: { type: "tick", thickness: 3, size: 20, color: "var(--series-2)" },
          encoding: {
            x: valueAxis("mean", metric),
            tooltip: [armTip, numberTip("mean", `mean ${metric}`)],
          },
        },
        {
          data: { values },
          mark: { type: "point", filled: true, size: 55, opacity: 0.75, color: "var(--series-1)" },
          encoding: {
            x: valueAxis("value", metric),
            tooltip: [armTip, { field: "seed" }, numberTip("value", metric)],
          },
        },
      ],
    },
  };
}

/** Differences from the baseline with their intervals, beside a line at 0. */
export function differencesChart(
  metric: string,
  baseline: string,
  arms: readonly ArmDifference[],
): Chart {
  const spoken = arms.map(
    ({ name, mean, low, high }) =>
      `${name} ${numberText(mean)}, interval ${numberText(low)} to ${numberText(high)}`,
  );
  const title = `Difference of ${metric} from ${baseline}`;
  const y = armAxis(arms.map(({ name }) => name));
  const tooltip = [
    armTip,
    numberTip("mean", "mean"),
    numberTip("low", "from"),
    numberTip("high", "to"),
  ];
  return {
    id: "differences",
    title,
    about: "Mean over the seeds that both finished, with its 95% interval.",
    label: `${title}: ${spoken.join("; ")}.`,
    height: rowHeight(arms.length),
    spec: {
      layer: [
        {
          data: { values: [{ zero: 0 }] },
          mark: { type: "rule", color: "var(--soft)", strokeDash: [4, 3] },
          encoding: { x: { field: "zero", type: "quantitative" } },
        },
        {
          data: { values: arms.map(({ name, ...rest }) => ({ arm: name, ...rest })) },
          mark: { type: "rule", color: "var(--series-1)", strokeWidth: 2.5, strokeCap: "round" },
          encoding: { y, x: valueAxis("low", "difference"), x2: { field: "high" }, tooltip },
        },
        {
          data: { values: arms.map(({ name, ...rest }) => ({ arm: name, ...rest })) },
          mark: { type: "point", filled: true, size: 80, opacity: 1, color: "var(--series-1)" },
          encoding: { y, x: valueAxis("mean", "difference"), tooltip },
        },
      ],
    },
  };
}

// --- internal ---

const rowHeight = (rows: number) => 50 + 30 * rows;

const armAxis = (names: readonly string[]) => ({
  field: "arm",
  type: "nominal",
  title: null,
  scale: { domain: names },
  axis: { labelLimit: 150, domain: false },
});

const valueAxis = (field: string, title: string) => ({
  field,
  type: "quantitative",
  title,
  scale: { zero: false, nice: true },
  axis: { format: "~g" },
});

const armTip = { field: "arm", type: "nominal" };
const numberTip = (field: string, title: string) => ({
  field,
  type: "quantitative",
  title,
  format: ".5~g",
});
