import { meanAndDeviation } from "../../core/metrics/mean-and-deviation.ts";
import { numberText } from "./charts/chart.ts";
import { html, type Markup } from "./html.ts";
import { paperResult } from "./paper.ts";
import type { ReportedRun } from "./read-run.ts";
import { cell, column, table } from "./table-parts.ts";

type MetricsBySplit = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** The metrics of a run: those of its end, or of its newest evaluation. By split. */
export function metricsOf({ result, log }: ReportedRun): MetricsBySplit {
  return (
    result?.metrics ?? Object.fromEntries(log.evaluations.map((one) => [one.split, one.metrics]))
  );
}

/** Metrics of all runs, with mean and deviation over several, and the paper's beside them. */
export function metricTable(runs: readonly ReportedRun[]): Markup | undefined {
  const all = runs.map(metricsOf);
  const rows = rowsOf(all);
  if (rows.length === 0) return undefined;
  const paper = runs.length > 0 ? paperResult(runs[0]!.config) : undefined;
  const isSeries = runs.length > 1 && areSeeds(runs);
  const baseline = runs[0]?.result?.baseline;
  const head = [
    ...runs.map(({ name, result }) => `${name}${result ? "" : " (so far)"}`),
    ...(isSeries ? [`mean ± std over ${runs.length} seeds`] : []),
    ...(runs.length === 1 ? ["best step"] : []),
    ...(baseline ? ["constant prediction"] : []),
    ...(paper ? ["paper"] : []),
  ].map(column);
  const body = rows.map(([split, metric]) => {
    const values = all.map((one) => one[split]?.[metric]);
    const best = runs[0]?.result?.best?.metrics[split]?.[metric];
    const interval = runs[0]?.result?.intervals?.[split]?.[metric];
    const papers = paper?.metrics[split]?.[metric] ?? paper?.metrics[""]?.[metric];
    return html`<tr>
      <th scope="row">${split} ${metric}</th>
      ${values.map((value) => html`<td>${cell(value)}${runs.length === 1 && interval ? html` <small>(${cell(interval.low)}–${cell(interval.high)})</small>` : ""}</td>`)}
      ${isSeries ? html`<td>${seriesText(values)}</td>` : undefined}
      ${runs.length === 1 ? html`<td>${cell(best)}</td>` : undefined}
      ${baseline ? html`<td>${cell(baseline[metric])}</td>` : undefined}
      ${paper ? html`<td>${cell(papers)}</td>` : undefined}
    </tr>`;
  });
  const source =
    paper && html`<p class="note">Paper: AdaLoRA (arXiv 2303.10512), ${paper.source}.</p>`;
  return html`${table("Metrics", "metric", { head, rows: body })}${source}`;
}

// --- internal ---

function rowsOf(all: readonly MetricsBySplit[]): [string, string][] {
  const found = new Map<string, [string, string]>();
  for (const bySplit of all)
    for (const [split, metrics] of Object.entries(bySplit))
      for (const metric of Object.keys(metrics)) found.set(`${split} ${metric}`, [split, metric]);
  return [...found.values()];
}

/** Whether the runs differ in their seed alone. */
function areSeeds(runs: readonly ReportedRun[]): boolean {
  const others = runs.map(({ config: { seed: _seed, out: _out, ...rest } }) =>
    JSON.stringify(rest),
  );
  const seeds = new Set(runs.map(({ config }) => config["seed"]));
  return new Set(others).size === 1 && seeds.size === runs.length;
}

function seriesText(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  if (known.length < values.length) return "–";
  const { mean, deviation } = meanAndDeviation(known);
  return `${numberText(mean)} ± ${numberText(deviation)}`;
}
