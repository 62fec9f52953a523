import type { RankFrames } from "../rank-frames.ts";
import { type Chart, moduleColour, stepAxis } from "./chart.ts";

/** The sum of ranks of each kind of module at each mask: which kinds gave theirs up, and when. */
export function moduleRankChart(
  { matrices, frames }: RankFrames,
  lastStep: number,
): Chart | undefined {
  const modules = [...new Set(matrices.map(({ module }) => module))];
  const last = frames.at(-1);
  if (modules.length < 2 || !last) return undefined;
  const sumOf = (module: string, ranks: readonly number[]) =>
    ranks.reduce((sum, rank, i) => (matrices[i]?.module === module ? sum + rank : sum), 0);
  const values = frames.flatMap(({ step, ranks }) =>
    modules.map((module) => ({ step, module, ranks: sumOf(module, ranks) })),
  );
  const spoken = modules.map((module) => `${module} ${sumOf(module, last.ranks)}`);
  return {
    id: "module-ranks",
    title: "Ranks by module",
    about: "The sum of ranks of each kind of module over all layers, after each mask.",
    label: `Ranks by module after step ${last.step}: ${spoken.join(", ")}.`,
    height: 220,
    spec: {
      data: { values },
      mark: { type: "line", interpolate: "step-after", strokeWidth: 1.5, tooltip: true },
      encoding: {
        x: stepAxis(lastStep),
        y: { field: "ranks", type: "quantitative", title: "sum of ranks", scale: { zero: false } },
        color: moduleColour(modules),
        tooltip: [
          { field: "module", type: "nominal" },
          { field: "step", type: "quantitative" },
          { field: "ranks", type: "quantitative" },
        ],
      },
    },
  };
}
