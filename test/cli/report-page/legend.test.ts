import { expect, test } from "bun:test";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { sized } from "../../../cli/report-page/charts/all-charts.ts";
import { chartConfig, runLegend } from "../../../cli/report-page/charts/chart.ts";

const names = ["lora", "adalora", "uniform", "random", "svd-lora", "lora-cut"].map(
  (name) => `${name}:start=lora:alpha=2:lr=0.001`,
);
const chart = {
  id: "loss",
  title: "Loss",
  about: "",
  label: "",
  height: 200,
  spec: {
    data: { values: names.map((run, i) => ({ run, step: i, loss: 10_000 + i })) },
    mark: "point",
    encoding: {
      x: { field: "step", type: "quantitative" },
      y: { field: "loss", type: "quantitative" },
      color: { field: "run", type: "nominal", legend: runLegend(names) },
    },
  },
};

/** Pixels between the upper edge of a chart and what lies highest in it: negative if it is cut. */
async function roomAbove(width: number): Promise<number> {
  const spec: object = { ...sized(chart, width), config: chartConfig, padding: 0 };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as in svg-files.ts
  const view = new View(parse(compile(spec as TopLevelSpec).spec), { renderer: "none" });
  await view.runAsync();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Vega's types leave it out
  const { root } = view.scenegraph() as { root?: { bounds: { y1: number } } };
  const room = view.origin()[1] + root!.bounds.y1;
  view.finalize();
  return room;
}

test("a legend has room for all its rows, however wide the chart is", async () => {
  for (const width of [260, 460, 510, 760])
    expect(await roomAbove(width), `${width} px`).toBeGreaterThanOrEqual(0);
});
