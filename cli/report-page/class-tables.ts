import type { ClassReport } from "../../core/metrics/class-report.ts";
import { html, type Markup } from "./html.ts";
import { metricsOf } from "./metric-table.ts";
import type { ReportedRun } from "./read-run.ts";
import { cell, column, table } from "./table-parts.ts";

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
  const head = ["exact", "F1", "questions"].map(column);
  return table("By type of answer", "question", { head, rows });
}

// --- internal ---

/** More classes make no readable matrix. */
const MOST_CLASSES = 30;

function confusionTable(split: string, { classes, confusion }: ClassReport): Markup {
  const isSmall = classes.length <= MOST_CLASSES;
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
  const predicted = isSmall ? classes.map(({ label }) => `as ${label}`) : [];
  const head = [...predicted, "precision", "recall", "F1", "rows"].map(column);
  return table(`Classes of ${split}`, "class", { kind: "confusion", caption, head, rows });
}
