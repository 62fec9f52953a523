import type { JsonObject } from "../../core/io/json-file.ts";
import type { ClassReport } from "../../core/metrics/class-report.ts";
import { meanAndDeviation } from "../run-seeds.ts";
import { numberText } from "./charts/chart.ts";
import { html, type Markup } from "./html.ts";
import { paperResult } from "./paper.ts";
import type { ReportedRun } from "./read-run.ts";
import { valueText } from "./value-text.ts";

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
    ...runs.map(
      ({ name, result }) => html`<th scope="col">${name}${result ? "" : " (so far)"}</th>`,
    ),
    isSeries ? html`<th scope="col">mean ± std over ${runs.length} seeds</th>` : undefined,
    runs.length === 1 ? html`<th scope="col">best step</th>` : undefined,
    baseline ? html`<th scope="col">constant prediction</th>` : undefined,
    paper ? html`<th scope="col">paper</th>` : undefined,
  ];
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
  return html`${scrolled(
    "Metrics",
    html`<table>
      <thead>
        <tr>
          <th scope="col">metric</th>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>`,
  )}${source}`;
}

/** Which classes are confused, with precision, recall and F1; one table a split. */
export function confusionTables({ result }: ReportedRun): readonly Markup[] {
  return Object.entries(result?.classes ?? {}).map(([split, classes]) =>
    confusionTable(split, classes),
  );
}

/** SQuAD 2.0: questions with and without an answer; undefined for other metrics. */
export function answerTable(run: ReportedRun): Markup | undefined {
  const kinds = [
    ["HasAns_", "has an answer"],
    ["NoAns_", "has none"],
  ] as const;
  const rows = Object.entries(metricsOf(run)).flatMap(([split, metrics]) =>
    kinds.flatMap(([prefix, kind]) => {
      const of = (name: string) => metrics[`${prefix}${name}`];
      if (of("exact") === undefined) return [];
      return [
        html`<tr>
          <th scope="row">${split}: ${kind}</th>
          <td>${cell(of("exact"))}</td>
          <td>${cell(of("f1"))}</td>
          <td>${cell(of("total"))}</td>
        </tr>`,
      ];
    }),
  );
  if (rows.length === 0) return undefined;
  return scrolled(
    "By type of answer",
    html`<table>
      <thead>
        <tr>
          <th scope="col">question</th>
          <th scope="col">exact</th>
          <th scope="col">F1</th>
          <th scope="col">questions</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

/** The settings of one run, in columns. */
export function configList({ config }: ReportedRun): Markup {
  return factList(Object.keys(config).map((key) => [key, settingText(config, key)]));
}

/** The settings of the runs; what differs comes first and is marked. */
export function configTable(runs: readonly ReportedRun[]): Markup {
  const keys = [...new Set(runs.flatMap(({ config }) => Object.keys(config)))];
  const differs = (key: string) =>
    new Set(runs.map(({ config }) => settingText(config, key))).size > 1;
  const ordered = [...keys.filter(differs), ...keys.filter((key) => !differs(key))];
  const rows = ordered.map(
    (key) =>
      html`<tr${differs(key) ? html` class="differs"` : ""}>
      <th scope="row">${key}${differs(key) ? html` <span class="tag">differs</span>` : ""}</th>
      ${runs.map(({ config }) => html`<td class="text">${settingText(config, key)}</td>`)}
    </tr>`,
  );
  return scrolled(
    "Configuration",
    html`<table class="wide">
      <thead>
        <tr>
          <th scope="col">setting</th>
          ${runs.map(({ name }) => html`<th scope="col" class="text">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

/** Versions and machine of the runs, and the memory that they took. */
export function environmentFacts(runs: readonly ReportedRun[]): Markup {
  const facts = runs.map(({ environment, result, folder }): JsonObject => ({
    ...environment,
    ...(result && { "peak memory": bytesText(result.peakMemory.process) }),
    folder,
  }));
  const keys = [...new Set(facts.flatMap((one) => Object.keys(one)))];
  const [only, ...others] = facts;
  if (only && others.length === 0) return factList(keys.map((key) => [key, valueText(only[key])]));
  const rows = keys.map(
    (key) =>
      html`<tr>
        <th scope="row">${key}</th>
        ${facts.map((one) => html`<td class="text">${valueText(one[key])}</td>`)}
      </tr>`,
  );
  return scrolled(
    "Environment",
    html`<table class="wide">
      <thead>
        <tr>
          <th scope="col">what</th>
          ${runs.map(({ name }) => html`<th scope="col" class="text">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

/** "252 MiB"; "unknown" without a number. */
export const bytesText = (bytes: number | undefined): string =>
  bytes === undefined ? "unknown" : `${Math.round(bytes / 2 ** 20)} MiB`;

// --- internal ---

const cell = (value: number | undefined) => (value === undefined ? "–" : numberText(value));

const factList = (facts: readonly (readonly [string, string])[]): Markup =>
  html`<dl class="facts">
    ${facts.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;

/** A table that scrolls in a narrow window, by keyboard too. */
const scrolled = (name: string, table: Markup): Markup =>
  html`<div class="scroll" role="region" aria-label="${name}" tabindex="0">${table}</div>`;

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

const settingText = (config: JsonObject, key: string) => valueText(config[key]);

/** More classes make no readable matrix. */
const MOST_CLASSES = 30;

function confusionTable(split: string, { classes, confusion }: ClassReport): Markup {
  const isSmall = classes.length <= MOST_CLASSES;
  const columns = isSmall ? classes.map(({ label }) => html`<th scope="col">as ${label}</th>`) : [];
  const rows = classes.map((one, i) => {
    const row = confusion[i] ?? [];
    const most = Math.max(1, one.support);
    const cells = isSmall
      ? row.map(
          (count, k) =>
            html`<td
              class="${i === k ? "hit" : "miss"}"
              style="--share:${((count / most) * 100).toFixed(1)}%"
            >
              ${count}
            </td>`,
        )
      : [];
    return html`<tr>
      <th scope="row">${one.label}</th>
      ${cells}
      <td>${cell(one.precision)}</td>
      <td>${cell(one.recall)}</td>
      <td>${cell(one.f1)}</td>
      <td>${one.support}</td>
    </tr>`;
  });
  const caption = html`<caption>
    ${split}: rows are the labels, columns what was predicted
  </caption>`;
  return scrolled(
    `Classes of ${split}`,
    html`<table class="confusion">
      ${caption}
      <thead>
        <tr>
          <th scope="col">class</th>
          ${columns}
          <th scope="col">precision</th>
          <th scope="col">recall</th>
          <th scope="col">F1</th>
          <th scope="col">rows</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}
