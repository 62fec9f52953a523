import { errors } from "../errors.ts";
import { guessText } from "../nearest.ts";
import { type ColumnOptions, wrongDelimiter } from "./columns.ts";
import type { DataSplit } from "./examples.ts";
import { columnsToKeep, type KeptCells, keptCells } from "./kept-columns.ts";
import { openTable, sourceName } from "./open-table.ts";
import { attemptRow } from "./row-observer.ts";
import { quoted, type Row, type Table } from "./table.ts";
import { textOf } from "./text-field.ts";
import { createWarnings, type Warnings } from "./warnings.ts";

/** A text and its summary, exactly as in the file. */
export interface SummaryExample {
  /** Index among the split's examples, from 0; equal to its index in the list. */
  readonly index: number;
  readonly text: string;
  /** Absent when the text is to be summarized. */
  readonly summary?: string;
}

/** The checked examples of a split. */
export interface SummarySet {
  readonly examples: readonly SummaryExample[];
  /** Whether all examples have a summary. */
  readonly isLabelled: boolean;
  /** One line per kind of suspicious but usable content. */
  readonly warnings: readonly string[];
  /** [n] the cells that the split keeps, if it keeps any. */
  readonly kept?: readonly KeptCells[] | undefined;
}

/** What to read; the label is the summary. */
export interface SummarySpec extends Pick<
  ColumnOptions,
  "textColumn" | "labelColumn" | "delimiter" | "observer" | "labels"
> {
  /** Read at most this many examples, from the start. */
  readonly limit?: number | undefined;
}

/** Known names of the text column, most common first: XSum, CNN/DailyMail, SAMSum, custom data. */
export const textColumns = ["document", "article", "dialogue", "text", "source"] as const;
/** Known names of the summary column. */
export const summaryColumns: readonly string[] = ["summary", "highlights", "target"];

/**
 * Reads and checks every example of a split, in any table format (CSV with multi-line cells, JSON
 * lines, parquet, …). Throws E_FILE naming file and line (or row) on a missing column, a cell that
 * is not text, an unclosed quote, invalid UTF-8, or no rows.
 */
export async function readSummaries(split: DataSplit, spec: SummarySpec): Promise<SummarySet> {
  const warnings = createWarnings();
  const examples: SummaryExample[] = [];
  const kept: KeptCells[] = [];
  for (const source of split.files) {
    const { delimiter, observer } = spec;
    const options = { role: split.role, hasHeader: true, delimiter, observer, warnings };
    const table = await openTable(source, options);
    const columns = chooseColumns(table, spec);
    const requested = [columns.text, columns.summary].filter((name) => name !== undefined);
    const keep = columnsToKeep(table, split.keep);
    for (const row of await table.read([...requested, ...keep])) {
      const read = () =>
        exampleOf(row, examples.length, { table, columns, warnings, labels: spec.labels });
      const example = attemptRow(read, observer);
      if (example === undefined) continue;
      observer?.onRow(() => table.location(row.position));
      examples.push(example);
      kept.push(keptCells(keep, row.cells.slice(requested.length)));
    }
  }
  if (examples.length === 0)
    throw errors.file(sourceName(split.files[0] ?? "data"), "there are no rows");
  const limited = spec.limit === undefined ? examples : examples.slice(0, spec.limit);
  const isLabelled = limited.every(({ summary }) => summary !== undefined);
  return {
    examples: limited,
    isLabelled,
    warnings: warnings.lines(),
    kept: split.keep && kept.slice(0, spec.limit),
  };
}

interface SummaryColumns {
  readonly text: string;
  readonly summary: string | undefined;
}

/** The user's names, otherwise the first known names in the table. */
function chooseColumns(table: Table, spec: SummarySpec): SummaryColumns {
  const find = (given: string | undefined, known: readonly string[]) =>
    (given === undefined ? known : [given]).find((name) => table.columns.includes(name));
  const { labels, textColumn, labelColumn } = spec;
  const text = find(textColumn, textColumns);
  const summary = labels === "ignored" ? undefined : find(labelColumn, summaryColumns);
  if (text === undefined) throw missingColumn(table, "text", textColumn, textColumns);
  if (summary === undefined && labels === "required") {
    throw missingColumn(table, "summary", labelColumn, summaryColumns);
  }
  return { text, summary };
}

function missingColumn(
  table: Table,
  role: "text" | "summary",
  given: string | undefined,
  known: readonly string[],
) {
  const { columns, header, name } = table;
  const location = header?.location ?? name;
  const wrong = wrongDelimiter(table);
  if (wrong !== undefined) return errors.file(location, wrong.rule, wrong.hint);
  const expected =
    given === undefined ? `for the ${role} (one of ${quoted(known)})` : quoted([given]);
  const flag = role === "text" ? "--text-column" : "--label-column";
  return errors.file(
    location,
    `the ${header?.noun ?? "layout"} lacks a column ${expected}: got ${quoted(columns)}`,
    `${guessText(given === undefined ? known : [given], columns)}name it with ${flag}`,
  );
}

/** What a row's cells are checked with. */
interface RowContext extends Pick<SummarySpec, "labels"> {
  readonly table: Table;
  readonly columns: SummaryColumns;
  readonly warnings: Warnings;
}

function exampleOf(
  { position, cells: [text, summary] }: Row,
  index: number,
  { table, columns, labels, warnings }: RowContext,
): SummaryExample {
  const cellText = (value: unknown, key: string) => {
    const content = textOf({ value, key, location: () => table.location(position) });
    if (content.trim() === "")
      warnings.add(`empty ${key}`, table.location(position), `"${key}" is empty`);
    return content;
  };
  const isMissing = summary === undefined || summary === null;
  const key = columns.summary;
  const known = key === undefined || (isMissing && labels === "optional") ? undefined : key;
  return {
    index,
    text: cellText(text, columns.text),
    ...(known === undefined ? {} : { summary: cellText(summary, known) }),
  };
}
