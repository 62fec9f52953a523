import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { guessText } from "../nearest.ts";
import type { RowObserver } from "./row-observer.ts";
import { type DelimiterName, delimiterIn, delimiterNames, delimiters } from "./delimiters.ts";
import { type GlueColumns, glueTasks, type GlueTask } from "./glue-tasks.ts";
import { quoted, type Table } from "./table.ts";

/** What the user or the task specifies about columns; the user's names take precedence. */
export interface ColumnOptions {
  readonly task?: GlueTask | undefined;
  readonly textColumn?: string | undefined;
  readonly pairColumn?: string | undefined;
  readonly labelColumn?: string | undefined;
  /** The separator of the columns; default: by the file's ending and header. */
  readonly delimiter?: DelimiterName | undefined;
  /** Learns of every row and every bad row; without it the first bad row is thrown. */
  readonly observer?: RowObserver | undefined;
  /**
   * Whether every row needs a label, may lack one (a test set), or has its label ignored (texts to
   * be labelled).
   */
  readonly labels: "required" | "optional" | "ignored";
}

/** The columns of a table to read; `label` is undefined where it is optional and absent. */
export interface ChosenColumns {
  readonly text: string;
  readonly pair: string | undefined;
  readonly label: string | undefined;
}

/**
 * Chooses a table's columns: the user's names; otherwise the task's official or hub names; without
 * a task, the names that the GLUE tasks use. Throws E_FILE, located at the header, with the missing
 * names.
 */
export function chooseColumns(table: Table, options: ColumnOptions): ChosenColumns {
  const layout = layoutFor(table, options);
  const text = options.textColumn ?? layout?.text;
  // A custom text column implies no pair column, unless the task needs one.
  const pair =
    options.pairColumn ??
    (options.textColumn === undefined || options.task !== undefined ? layout?.pair : undefined);
  const isIgnored = options.labels === "ignored";
  const label = isIgnored ? undefined : (options.labelColumn ?? layout?.label);
  if (text === undefined || (label === undefined && !isIgnored))
    throw unknownColumns(table, isIgnored);
  const needed = [text, pair, options.labels === "required" ? label : undefined].filter(
    (name) => name !== undefined,
  );
  const missing = needed.filter((name) => !table.columns.includes(name));
  if (missing.length > 0) throw missingColumns(table, missing, isIgnored);
  const hasLabel = label !== undefined && table.columns.includes(label);
  return { text, pair, label: hasLabel ? label : undefined };
}

function layoutFor(table: Table, { task, textColumn }: ColumnOptions): GlueColumns | undefined {
  const layouts = task === undefined ? customLayouts : [task.tsv.columns, task.columns];
  const matching = layouts.filter(
    ({ text, pair }) =>
      table.columns.includes(text) && (pair === undefined || table.columns.includes(pair)),
  );
  const labelled = matching.find(({ label }) => table.columns.includes(label));
  const fallback = task === undefined && textColumn === undefined ? undefined : layouts[0];
  return labelled ?? matching[0] ?? fallback;
}

const customLayouts: readonly GlueColumns[] = [
  ...Object.values(glueTasks).flatMap(({ columns, tsv }) => [columns, tsv.columns]),
  { text: "text", label: "label" },
].toSorted((a, b) => Number(b.pair !== undefined) - Number(a.pair !== undefined));

/** The flags that name columns; a command that ignores labels has none for them. */
const columnFlags = (isIgnored: boolean) =>
  `--text-column${isIgnored ? " and --pair-column" : ", --pair-column and --label-column"}`;

function unknownColumns(table: Table, isIgnored: boolean) {
  const location = table.header?.location ?? table.name;
  const wrong = wrongDelimiter(table);
  if (wrong !== undefined) return errors.file(location, wrong.rule, wrong.hint);
  return errors.file(
    location,
    `no known columns for text${isIgnored ? "" : " and label"}: got ${quoted(table.columns)}`,
    `name them with ${columnFlags(isIgnored)}`,
  );
}

function missingColumns(table: Table, missing: readonly string[], isIgnored: boolean) {
  const location = table.header?.location ?? table.name;
  const wrong = wrongDelimiter(table);
  if (wrong !== undefined) return errors.file(location, wrong.rule, wrong.hint);
  const noun = table.header?.noun ?? "layout";
  const columns = missing.length === 1 ? "column" : "columns";
  return errors.file(
    location,
    `the ${noun} lacks the ${columns} ${quoted(missing)}: got ${quoted(table.columns)}`,
    `${guessText(missing, table.columns)}name other columns with ${columnFlags(isIgnored)}`,
  );
}

/** What is wrong where the header is one column that holds another separator. */
export function wrongDelimiter({ delimiter, columns }: Table): Fault | undefined {
  const [only] = columns;
  if (columns.length !== 1 || only === undefined || delimiter === undefined) return undefined;
  const found = delimiterIn(only);
  if (found === undefined || delimiters[found] === delimiter) return undefined;
  const rule = rules[`${nameOf(delimiter)} ${found}`] ?? `the header has no ${nameOf(delimiter)}`;
  const got = `${rule}, got ${excerpt(only)}`;
  return { rule: got, hint: `--delimiter ${found} reads it` };
}

interface Fault {
  readonly rule: string;
  readonly hint: string;
}

const nameOf = (delimiter: string) =>
  delimiterNames.find((name) => delimiters[name] === delimiter) ?? "delimiter";

/** By the delimiter that the file is read with and the one that its header has. */
const rules: Readonly<Record<string, string>> = {
  "tab comma": "the header has no TAB: this looks like CSV",
  "comma tab": "the header has TABs and no comma: this looks like TSV",
};
