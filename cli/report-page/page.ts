import packageJson from "../../package.json" with { type: "json" };
import { type ReportCharts, chartsOf, everyChart, sized } from "./charts/all-charts.ts";
import { type Chart, chartConfig } from "./charts/chart.ts";
import { cellsOf, HEAT_MAP_DATA } from "./charts/heat-map.ts";
import type { PageData } from "./browser/page-data.ts";
import { keyFigures, stateText } from "./figures.ts";
import { html, Markup, scriptJson } from "./html.ts";
import { pageScript } from "./page-script.ts";
import style from "./page-style.txt" with { type: "text" };
import type { ReportedRun } from "./read-run.ts";
import { answerTable, confusionTables } from "./class-tables.ts";
import { configList, configTable, environmentFacts } from "./fact-tables.ts";
import { metricTable } from "./metric-table.ts";
import { valueText } from "./value-text.ts";

/** Nothing is loaded from anywhere, and no text is run as a program. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** The report of one run or several as one HTML file that needs no other. */
export function reportPage(runs: readonly ReportedRun[]): string {
  const charts = chartsOf(runs);
  const title = titleOf(runs);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="adalora ${packageJson.version}" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>
          ${new Markup(style)}
        </style>
        <script>
          ${new Markup(THEME)};
        </script>
      </head>
      <body>
        <a class="skip" href="#result">Skip to the result</a>
        ${header(runs, title, charts)}
        <main>
          ${resultSection(runs, charts)} ${ranksSection(charts)}
          ${section("training", "Training", charts.training)} ${runSection(runs, charts)}
        </main>
        <footer>
          Made by adalora ${packageJson.version} from the run’s log and results. The charts are
          drawn by Vega in this page; nothing is loaded from anywhere.
          <code>adalora report RUN --svg DIR</code> writes them as files.
        </footer>
        <script type="application/json" id="report-data">
          ${scriptJson(pageData(charts))}
        </script>
        <script type="module">
          ${new Markup(pageScript())};
        </script>
      </body>
    </html> `.text;
}

// --- internal ---

/** Before the page is painted: the system's theme, or the one chosen before. Print is light. */
const THEME = `
const root = document.documentElement, media = matchMedia("(prefers-color-scheme: dark)");
let chosen;
const apply = () => { root.dataset.theme = chosen ?? (media.matches ? "dark" : "light"); };
apply();
media.addEventListener("change", apply);
addEventListener("beforeprint", () => { root.dataset.theme = "light"; for (const one of document.querySelectorAll("details")) one.open = true; });
addEventListener("afterprint", apply);
addEventListener("DOMContentLoaded", () => document.querySelector("#theme")?.addEventListener("click", () => {
  chosen = root.dataset.theme === "dark" ? "light" : "dark";
  apply();
}));
`;

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
  const links = [
    ["result", "Result"],
    ...(charts.ranks.length > 0 ? [["ranks", "Ranks"]] : []),
    ...(charts.training.length > 0 ? [["training", "Training"]] : []),
    ["run", "Run"],
  ];
  const { model, data } = first?.config ?? {};
  return html`<header>
    <div class="title">
      <h1>${title}</h1>
      ${state === undefined ? undefined : html`<span class="state${isDone ? "" : " stopped"}">${state}</span>`}<button
        class="theme"
        id="theme"
        type="button"
      >
        Light / dark
      </button>
    </div>
    <p class="about">
      ${runs.map(({ name }) => name).join(", ")}${model === undefined ? "" : ` · model ${valueText(model)}`}${data === undefined || data === model ? "" : ` · data ${valueText(data)}`}
    </p>
    <nav aria-label="Sections">
      ${links.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}
    </nav>
    ${first && runs.length === 1 ? keyFigures(first) : undefined}
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

function section(id: string, title: string, charts: readonly Chart[]): Markup | undefined {
  if (charts.length === 0) return undefined;
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    <div class="grid">${charts.map((chart) => figure(chart))}</div>
  </section>`;
}

function figure({ id, title, about, label, isWide, height }: Chart, controls?: Markup): Markup {
  return html`<figure class="card${isWide === true ? " full" : ""}">
    <figcaption>
      <h3>${title}</h3>
      <p>${about}</p>
    </figcaption>
    ${controls}
    <div
      class="chart"
      id="chart-${id}"
      role="img"
      aria-label="${label}"
      style="min-height:${height}px"
    ></div>
  </figure>`;
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
