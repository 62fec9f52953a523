import { type Chart, chartConfig } from "./charts/chart.ts";
import { sized } from "./charts/all-charts.ts";
import { curveCharts } from "./charts/curves.ts";
import { HEAT_MAP_DATA } from "./charts/heat-map.ts";
import { metricCharts } from "./charts/metrics.ts";
import { timeChart } from "./charts/time.ts";
import { configTable, environmentFacts } from "./fact-tables.ts";
import { html, type Markup } from "./html.ts";
import { meanRun } from "./mean-run.ts";
import { chartSection, figure, pageOf, sectionLinks, themeButton } from "./page-parts.ts";
import type { ReportedRun } from "./read-run.ts";
import { column, table } from "./table-parts.ts";

/** A table of arms or configurations, the cells as text. */
export interface ArmTable {
  readonly title: string;
  /** What its rows are: "method". */
  readonly of: string;
  readonly columns: readonly string[];
  readonly rows: readonly {
    readonly name: string;
    /** What the row is about, in words. */
    readonly about?: string;
    readonly cells: readonly string[];
    readonly isMarked?: boolean;
  }[];
  /** A paragraph below it. */
  readonly note?: string;
}

/** The report of a comparison or a sweep. */
export interface ArmsReport {
  /** "rte: accuracy over 5 seeds" */
  readonly title: string;
  readonly about: string;
  /** How it ended where not all runs did: "2 runs failed". */
  readonly problem?: string | undefined;
  readonly tables: readonly ArmTable[];
  /** Of the results; curves follow from the runs. */
  readonly charts: readonly Chart[];
  /** Runs of each arm that are drawn; their curves are means over them. */
  readonly arms: readonly { readonly name: string; readonly runs: readonly ReportedRun[] }[];
  /** A paragraph of what else is to be known, such as a command or failures. */
  readonly notes: readonly Markup[];
}

/** A comparison or a sweep as one HTML file that needs no other. */
export function armsPage(report: ArmsReport): string {
  const drawn = report.arms.filter(({ runs }) => runs.length > 0);
  const means = drawn.map(({ name, runs }) => meanRun(name, runs));
  const hasSeveral = drawn.some(({ runs }) => runs.length > 1);
  const training = means.length === 0 ? [] : [...metricCharts(means), ...curveCharts(means)];
  const time = means.length === 0 ? undefined : timeChart(means);
  const charts = [...report.charts, ...training, ...(time ? [{ ...time, isWide: true }] : [])];
  return pageOf({
    title: report.title,
    header: header(report, { hasTraining: training.length > 0, hasRuns: means.length > 0 }),
    sections: [
      resultSection(report),
      chartSection(
        "training",
        hasSeveral ? "Training: means over the seeds" : "Training",
        charts.slice(report.charts.length),
      ),
      means.length === 0 ? undefined : runsSection(means),
    ],
    footer: html`from the runs’ logs and results. The charts are drawn by Vega in this page; nothing
      is loaded from anywhere. <code>adalora report RUN</code> shows one run in detail.`,
    data: {
      specs: Object.fromEntries(
        charts.map((chart) => [chart.id, { ...sized(chart, undefined), config: chartConfig }]),
      ),
      heatMapData: HEAT_MAP_DATA,
      heatMaps: [],
    },
  });
}

// --- internal ---

function header(
  { title, about, problem }: ArmsReport,
  { hasTraining, hasRuns }: { readonly hasTraining: boolean; readonly hasRuns: boolean },
): Markup {
  const link = (id: string, name: string) => [id, name] as const;
  return html`<header>
    <div class="title">
      <h1>${title}</h1>
      ${problem === undefined ? undefined : html`<span class="state stopped">${problem}</span>`}${themeButton}
    </div>
    <p class="about">${about}</p>
    ${sectionLinks([
      link("result", "Result"),
      ...(hasTraining ? [link("training", "Training")] : []),
      ...(hasRuns ? [link("runs", "Runs")] : []),
    ])}
  </header>`;
}

function resultSection({ tables, charts, notes }: ArmsReport): Markup {
  return html`<section aria-labelledby="result">
    <h2 id="result">Result</h2>
    ${tables.map(armTable)} ${notes}
    <div class="grid">${charts.map((chart) => figure(chart))}</div>
  </section>`;
}

function armTable({ title, of, columns, rows, note }: ArmTable): Markup {
  const body = rows.map(
    ({ name, about, cells, isMarked }) =>
      html`<tr${isMarked === true ? html` class="differs"` : ""}>
      <th scope="row">${name}${about === undefined ? "" : html`<small class="below">${about}</small>`}</th>
      ${cells.map((cell) => html`<td>${cell}</td>`)}
    </tr>`,
  );
  const below = note === undefined ? undefined : html`<p class="note below-table">${note}</p>`;
  return html`${table(title, of, { kind: "wide", head: columns.map(column), rows: body })}${below}`;
}

function runsSection(means: readonly ReportedRun[]): Markup {
  return html`<section aria-labelledby="runs">
    <h2 id="runs">Runs</h2>
    <h3 class="above-table">Configuration</h3>
    ${configTable(means)}
    <h3 class="above-table">Environment</h3>
    ${environmentFacts(means)}
  </section>`;
}
