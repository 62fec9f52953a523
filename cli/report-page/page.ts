import { type ReportCharts, chartsOf, everyChart, sized } from "./charts/all-charts.ts";
import { chartConfig } from "./charts/chart.ts";
import { cellsOf, HEAT_MAP_DATA } from "./charts/heat-map.ts";
import type { PageData } from "./browser/page-data.ts";
import { keyFigures, stateText } from "./figures.ts";
import { html, type Markup } from "./html.ts";
import { chartSection, figure, pageOf, sectionLinks, themeButton } from "./page-parts.ts";
import type { ReportedRun } from "./read-run.ts";
import { answerTable, confusionTables } from "./class-tables.ts";
import { configList, configTable, environmentFacts } from "./fact-tables.ts";
import { metricTable } from "./metric-table.ts";
import { valueText } from "./value-text.ts";

/** The report of one run or several as one HTML file that needs no other. */
export function reportPage(runs: readonly ReportedRun[]): string {
  const charts = chartsOf(runs);
  const title = titleOf(runs);
  return pageOf({
    title,
    header: header(runs, title, charts),
    sections: [
      resultSection(runs, charts),
      ranksSection(charts),
      chartSection("training", "Training", charts.training),
      runSection(runs, charts),
    ],
    footer: html`from the run’s log and results. The charts are drawn by Vega in this page; nothing
      is loaded from anywhere. <code>adalora report RUN --svg DIR</code> writes them as files.`,
    data: pageData(charts),
  });
}

// --- internal ---

function titleOf(runs: readonly ReportedRun[]): string {
  const [first] = runs;
  const what = (run: ReportedRun | undefined) => {
    const { task, method } = run?.config ?? {};
    return `${valueText(task ?? "run")}: ${valueText(method ?? "unknown method")}`;
  };
  if (runs.length === 1) return what(first);
  const same = new Set(runs.map(what));
  return same.size === 1 ? `${what(first)}, ${runs.length} runs` : `${runs.length} runs`;
}

function header(runs: readonly ReportedRun[], title: string, charts: ReportCharts): Markup {
  const [first] = runs;
  const state = first && runs.length === 1 ? stateText(first) : undefined;
  const isDone = runs.every(({ result }) => result !== undefined);
  const link = (id: string, name: string) => [id, name] as const;
  const links = [
    link("result", "Result"),
    ...(charts.ranks.length > 0 ? [link("ranks", "Ranks")] : []),
    ...(charts.training.length > 0 ? [link("training", "Training")] : []),
    link("run", "Run"),
  ];
  const { model, data } = first?.config ?? {};
  return html`<header>
    <div class="title">
      <h1>${title}</h1>
      ${state === undefined ? undefined : html`<span class="state${isDone ? "" : " stopped"}">${state}</span>`}${themeButton}
    </div>
    <p class="about">
      ${runs.map(({ name }) => name).join(", ")}${model === undefined ? "" : ` · model ${valueText(model)}`}${data === undefined || data === model ? "" : ` · data ${valueText(data)}`}
    </p>
    ${sectionLinks(links)} ${first && runs.length === 1 ? keyFigures(first) : undefined}
  </header>`;
}

function resultSection(runs: readonly ReportedRun[], { metrics }: ReportCharts): Markup {
  const [first] = runs;
  const tables = first && runs.length === 1 ? [...confusionTables(first), answerTable(first)] : [];
  const table = metricTable(runs) ?? html`<p class="note">No evaluation yet.</p>`;
  return html`<section aria-labelledby="result">
    <h2 id="result">Result</h2>
    ${table} ${tables}
    <div class="grid">${metrics.map((chart) => figure(chart))}</div>
  </section>`;
}

function ranksSection({ ranks, moving }: ReportCharts): Markup | undefined {
  const first = moving[0];
  if (ranks.length === 0 || !first) return undefined;
  const last = first.frames.frames.length - 1;
  const options = moving.map(({ run }, i) => html`<option value="${i}">${run.name}</option>`);
  const choice = html`<label
    >run
    <select id="mask-run">
      ${options}
    </select></label
  >`;
  const controls = html`<div class="slider">
    ${moving.length > 1 ? choice : undefined}
    <label for="mask">mask</label>
    <input type="range" id="mask" min="0" max="${last}" value="${last}" step="1" />
    <output id="mask-step" for="mask"></output>
    <button type="button" id="mask-play">Play</button>
  </div>`;
  const others = html`<p class="note">
    Budget, singular values and importance are those of ${first.run.name}.
  </p>`;
  return html`<section aria-labelledby="ranks">
    <h2 id="ranks">Ranks</h2>
    <div class="grid">
      ${ranks.map((chart) => figure(chart, chart.id === "ranks" ? controls : undefined))}
    </div>
    ${moving.length > 1 ? others : undefined}
  </section>`;
}

function runSection(runs: readonly ReportedRun[], { time }: ReportCharts): Markup {
  const [first] = runs;
  return html`<section aria-labelledby="run">
    <h2 id="run">Run</h2>
    <div class="grid">${time.map((chart) => figure({ ...chart, isWide: true }))}</div>
    <h2 id="configuration">Configuration</h2>
    ${first && runs.length === 1 ? configList(first) : configTable(runs)}
    <h2 id="environment">Environment</h2>
    ${environmentFacts(runs)}
  </section>`;
}

function pageData(charts: ReportCharts): PageData {
  const specs = everyChart(charts).map(
    (chart) => [chart.id, { ...sized(chart, undefined), config: chartConfig }] as const,
  );
  return {
    specs: Object.fromEntries(specs),
    heatMapData: HEAT_MAP_DATA,
    heatMaps: charts.moving.map(({ frames }) => ({
      cells: cellsOf(frames, frames.frames[0]!),
      frames: frames.frames,
    })),
  };
}
