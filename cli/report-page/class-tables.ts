import type { ClassReport } from "../../core/metrics/class-report.ts";
import { html, type Markup } from "./html.ts";
import { metricsOf } from "./metric-table.ts";
import type { ReportedRun } from "./read-run.ts";
import { cell, scrolled } from "./table-parts.ts";

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

// --- internal ---

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
