import type { LoggedMask, RunLog } from "../read-log.ts";
import { type LoggedMatrix, matricesOf } from "../rank-frames.ts";
import { type Chart, logAxis, numberText, moduleColour, stepAxis } from "./chart.ts";

/** The spread of |E| of the kept triplets at each recorded mask; undefined if none is recorded. */
export function singularChart(log: RunLog): Chart | undefined {
  const values = log.masks.flatMap(({ step, singular }) => {
    const all = (singular ?? []).flat().toSorted((a, b) => a - b);
    if (all.length === 0) return [];
    const at = (share: number) => all[Math.round(share * (all.length - 1))]!;
    return [{ step, least: at(0), low: at(0.25), median: at(0.5), high: at(0.75), most: at(1) }];
  });
  const last = values.at(-1);
  if (!last) return undefined;
  const band = (low: string, high: string, opacity: number) => ({
    mark: { type: "area", opacity, color: "var(--series-1)" },
    encoding: {
      y: { field: low, type: "quantitative", title: "|E|", axis: { format: "~g" } },
      y2: { field: high },
    },
  });
  const y = { field: "median", type: "quantitative", title: "|E|" };
  const tooltip = ["step", "least", "low", "median", "high", "most"].map((field) => ({
    field,
    type: "quantitative",
  }));
  return {
    id: "singular-values",
    title: "Singular values",
    about:
      "|E| of the triplets that each mask kept: the median, the middle half, and the whole range.",
    label: `Singular values: median ${numberText(last.median)}, largest ${numberText(last.most)} at step ${last.step}.`,
    height: 220,
    spec: {
      data: { values },
      encoding: { x: stepAxis(log.lastStep) },
      layer: [
        band("least", "most", 0.15),
        band("low", "high", 0.3),
        { mark: { type: "line", color: "var(--series-1)" }, encoding: { y } },
        { mark: { type: "point", opacity: 0, size: 90, filled: true }, encoding: { y, tooltip } },
      ],
    },
  };
}

/** Mean importance by kind of module at each recorded mask; undefined if none is recorded. */
export function importanceChart(log: RunLog): Chart | undefined {
  const matrices = matricesOf(log);
  const modules = [...new Set(matrices.map(({ module }) => module))];
  const values = log.masks.flatMap((mask) => meansByModule(mask, matrices));
  const last = values.at(-1);
  if (!last) return undefined;
  const isLog = values.every(({ importance }) => importance > 0);
  return {
    id: "importance",
    title: "Importance by module",
    about:
      "The smoothed score by which triplets are ranked, averaged over each kind of module: what scores low loses ranks first.",
    label: `Importance by module at step ${last.step}: ${values
      .filter(({ step }) => step === last.step)
      .map(({ module, importance }) => `${module} ${numberText(importance)}`)
      .join(", ")}.`,
    height: 220,
    spec: {
      data: { values },
      mark: { type: "line", strokeWidth: 1.5, strokeJoin: "round", tooltip: true },
      encoding: {
        x: stepAxis(log.lastStep),
        y: {
          field: "importance",
          type: "quantitative",
          title: "mean importance",
          scale: isLog ? { type: "log" } : { zero: false },
          axis: isLog ? logAxis : { format: "~g" },
        },
        color: moduleColour(modules),
        tooltip: [
          { field: "module", type: "nominal" },
          { field: "step", type: "quantitative" },
          { field: "importance", type: "quantitative", format: ".3~g" },
        ],
      },
    },
  };
}

// --- internal ---

function meansByModule({ step, importance }: LoggedMask, matrices: readonly LoggedMatrix[]) {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const [i, { module }] of matrices.entries()) {
    const mean = importance?.[i]?.[0];
    if (mean === undefined) continue;
    const { sum, count } = sums.get(module) ?? { sum: 0, count: 0 };
    sums.set(module, { sum: sum + mean, count: count + 1 });
  }
  return Array.from(sums, ([module, { sum, count }]) => ({
    step,
    module,
    importance: Number((sum / count).toPrecision(4)),
  }));
}
