import { errors } from "../errors.ts";
import { type GlueColumns, glueTasks, type GlueTask } from "./glue-tasks.ts";
import { quoted, type Table } from "./table.ts";

/** What the user or the task says about columns; the user's names win. */
export interface ColumnOptions {
  readonly task?: GlueTask | undefined;
  readonly textColumn?: string | undefined;
  readonly pairColumn?: string | undefined;
  readonly labelColumn?: string | undefined;
  /** Whether rows without a label are of use (a test set), or labels are not even read (texts to be labelled). */
  readonly labels: "required" | "optional" | "ignored";
}

/** The columns of a table to read; no label where it is optional and not there. */
export interface ChosenColumns {
  readonly text: string;
  readonly pair: string | undefined;
  readonly label: string | undefined;
}

/**
 * Chooses a table's columns: the user's names; else the task's official or hub's names; else, without a task,
 * the names that the GLUE tasks use. Throws E_FILE at the header with the names that are missing.
 */
export function chooseColumns(table: Table, options: ColumnOptions): ChosenColumns {
  const layout = layoutFor(table, options);
  const text = options.textColumn ?? layout?.text;
  // A text column of one's own says nothing about a pair, unless the task needs one.
  const pair =
    options.pairColumn ??
    (options.textColumn === undefined || options.task !== undefined ? layout?.pair : undefined);
  const isIgnored = options.labels === "ignored";
  const label = isIgnored ? undefined : (options.labelColumn ?? layout?.label);
  if (text === undefined || (label === undefined && !isIgnored)) throw unknownColumns(table);
  const needsLabel = options.labels === "required" || options.labelColumn !== undefined;
  const needed = [text, pair, needsLabel ? label : undefined].filter((name) => name !== undefined);
  const missing = needed.filter((name) => !table.columns.includes(name));
  if (missing.length > 0) throw missingColumns(table, missing);
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

function unknownColumns(table: Table) {
  const location = table.header?.location ?? table.name;
  return errors.file(
    location,
    `no columns for text and label are known: got ${quoted(table.columns)}`,
    "name them with --text-column, --pair-column and --label-column",
  );
}

function missingColumns(table: Table, missing: readonly string[]) {
  const location = table.header?.location ?? table.name;
  const wrong = wrongDelimiter(table);
  if (wrong !== undefined)
    return errors.file(location, wrong, "give the file the ending of its format");
  const noun = table.header?.noun ?? "layout";
  const columns = missing.length === 1 ? "column" : "columns";
  return errors.file(
    location,
    `the ${noun} lacks the ${columns} ${quoted(missing)}: got ${quoted(table.columns)}`,
    "columns of other names are given by --text-column, --pair-column and --label-column",
  );
}

function wrongDelimiter({ delimiter, columns }: Table): string | undefined {
  const [only] = columns;
  if (columns.length !== 1 || only === undefined) return undefined;
  if (delimiter === "\t" && only.includes(",")) {
    return `the header has no TAB: this looks like CSV, got ${JSON.stringify(only)}`;
  }
  if (delimiter === "," && only.includes("\t")) {
    return `the header has TABs and no comma: this looks like TSV, got ${JSON.stringify(only)}`;
  }
  if (delimiter === "," && only.includes(";")) {
    return `the header has semicolons and no comma: CSV is separated by commas, got ${JSON.stringify(only)}`;
  }
  return undefined;
}
