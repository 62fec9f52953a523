import { join } from "node:path";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { writeFileAtomic } from "../../core/io/atomic.ts";
import { chartsOf, everyChart, sized } from "./charts/all-charts.ts";
import { type Chart, chartConfig } from "./charts/chart.ts";
import { printableTexts } from "./html.ts";
import style from "./page-style.txt" with { type: "text" };
import type { ReportedRun } from "./read-run.ts";

/** Width of a chart in pixels. */
const WIDTH = 640;

/** Writes the report's charts into a folder, in the colours of the light page. Returns the files. */
export async function writeSvgFiles(
  runs: readonly ReportedRun[],
  folder: string,
): Promise<readonly string[]> {
  const files: string[] = [];
  for (const chart of everyChart(chartsOf(runs))) {
    const file = join(folder, `${chart.id}.svg`);
    writeFileAtomic(file, await svgOf(chart));
    files.push(file);
  }
  return files;
}

// --- internal ---

/** A chart as an SVG document that stands alone. */
async function svgOf(chart: Chart): Promise<string> {
  const config = { ...chartConfig, background: "var(--card)" };
  const spec = { ...sized(chart, WIDTH), config, padding: 12, title: chart.title };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the chart's own file
  const compiled = compile(printableTexts(spec) as TopLevelSpec).spec;
  const view = new View(parse(compiled), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg.replaceAll(/var\((--[\w-]+)\)/g, (all, name: string) => lightColours.get(name) ?? all)}\n`;
}

/** The page's custom properties for its light theme, which its style sheet gives first. */
const lightColours = new Map(
  Array.from((style.split("}")[0] ?? "").matchAll(/(--[\w-]+): (#\w+)/g), ([, name, colour]) => [
    name!,
    colour!,
  ]),
);
