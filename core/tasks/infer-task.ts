import { taskErrors } from "../config/task-errors.ts";
import { chooseColumns } from "../data/columns.ts";
import type { DataLocation } from "../data/data-location.ts";
import type { DataSplit } from "../data/examples.ts";
import { isDecimalComma, isNumberCell } from "../data/labels.ts";
import { type DataSource, formatOf, openTable, sourceName } from "../data/open-table.ts";
import { locateSplits, namedSplits } from "../data/splits.ts";
import type { RowObserver } from "../data/row-observer.ts";
import { readSquad, squadColumns, type SquadSpec } from "../data/squad.ts";
import type { SquadExample } from "../data/squad-question.ts";
import { locateSquadSplits } from "../data/squad-splits.ts";
import { textColumns, summaryColumns } from "../data/summaries.ts";
import { quoted, type Table } from "../data/table.ts";
import { decodeText } from "../data/text-file.ts";
import { createWarnings } from "../data/warnings.ts";
import { AdaloraError } from "../errors.ts";
import { isJsonObject } from "../io/json-file.ts";
import { readRegular } from "../io/regular-file.ts";
import { columnOptions, type TaskOptions } from "./task-options.ts";

/** A task, and what in the data shows it: `the columns "text" and "label"`. */
export interface InferredTask {
  readonly task: string;
  readonly reason: string;
}

/** The user's names of columns and classes, and the delimiter; null: not given. */
export interface InferenceOptions extends Pick<
  TaskOptions,
  "textColumn" | "pairColumn" | "labelColumn" | "delimiter" | "labels"
> {
  /** Learns of every bad row; without it the first bad row is thrown. */
  readonly observer?: RowObserver;
}

/**
 * Infers the task of the user's own data from the columns and labels of its training split: answers
 * to questions on contexts, summaries, classes or scores. Throws E_CONFIG, with the tasks to choose
 * from, where they fit none or several, and E_FILE for data that cannot be read.
 */
export async function inferTask(
  { path, splits }: DataLocation,
  options: InferenceOptions,
): Promise<InferredTask> {
  const found = splits === undefined ? splitsIn(path) : namedSplits(splits);
  const [split] = found; // train, if there is one
  const [source] = split?.files ?? [];
  if (split === undefined || source === undefined)
    throw taskErrors.undecidedTask(path, "it holds no split");
  if (isSquadDocument(source)) return questions(split, options, "SQuAD's layout");
  const table = await openTable(source, {
    role: split.role,
    hasHeader: true,
    delimiter: options.delimiter ?? undefined,
    observer: options.observer,
    warnings: createWarnings(),
  });
  const { columns } = table;
  const squad = squadColumns(readOptions(options));
  if (Object.values(squad).every((name) => columns.includes(name))) {
    return questions(split, options, columnsText(Object.values(squad)));
  }
  return labelled(table, options);
}

// --- internal ---

/** SQuAD's official files, else those of any task. */
function splitsIn(path: string): readonly DataSplit[] {
  for (const unanswerable of [false, true]) {
    const official = locateSquadFiles(path, unanswerable);
    if (official.length > 0) return official;
  }
  return locateSplits(path);
}

/** [] where the folder has no official files of this version. */
function locateSquadFiles(path: string, unanswerable: boolean): readonly DataSplit[] {
  try {
    return locateSquadSplits(path, unanswerable).filter(({ files }) =>
      files.some((file) => /-v[12]\.[01]\.json$/.test(sourceName(file))),
    );
  } catch (error) {
    if (error instanceof AdaloraError) return []; // found by name only: other files come later
    throw error;
  }
}

/** Whether a .json file is one object that holds articles or questions. */
function isSquadDocument(source: DataSource): boolean {
  if (typeof source !== "string" || formatOf(source) !== "json") return false;
  try {
    const root: unknown = JSON.parse(decodeText(readRegular(source), source));
    return isJsonObject(root) && Array.isArray(root["data"]);
  } catch (error) {
    if (error instanceof SyntaxError) return false; // JSON lines, or damaged
    throw error;
  }
}

/** squad_v2 where some question has no answer. */
async function questions(
  split: DataSplit,
  options: InferenceOptions,
  reason: string,
): Promise<InferredTask> {
  const spec = { labels: "required", unanswerable: true, ...readOptions(options) } as const;
  const examples = await questionsOf(split, spec);
  const unanswered = examples.filter(({ answers }) => answers?.length === 0).length;
  if (unanswered === 0 && examples.length > 0)
    return { task: "squad", reason: `${reason}: every question has an answer` };
  return {
    task: "squad_v2",
    reason: `${reason}: ${unanswered} of ${examples.length} questions have no answer`,
  };
}

/** A split's usable questions; an observer may learn that none is. */
async function questionsOf(split: DataSplit, spec: SquadSpec): Promise<readonly SquadExample[]> {
  try {
    return (await readSquad(split, spec)).examples;
  } catch (error) {
    if (spec.observer === undefined || !(error instanceof AdaloraError)) throw error;
    return [];
  }
}

async function labelled(table: Table, options: InferenceOptions): Promise<InferredTask> {
  const { columns } = table;
  const label = labelColumn(table, options);
  const summary = [options.labelColumn ?? [], ...summaryColumns]
    .flat()
    .find((name) => summaryColumns.includes(name) && columns.includes(name));
  const text = [options.textColumn ?? textColumns].flat().find((name) => columns.includes(name));
  const isSummary =
    summary !== undefined && text !== undefined && (label === undefined || label === summary);
  if (isSummary && (await isText(table, summary))) {
    return { task: "summarization", reason: columnsText([text, summary]) };
  }
  if (label === undefined || summary !== undefined) {
    throw taskErrors.undecidedTask(table.name, `its columns are ${quoted(columns)}`);
  }
  return classesOrScores(table, label, options);
}

/** The label's column: the user's, or the one beside known text columns. */
function labelColumn(table: Table, options: InferenceOptions): string | undefined {
  try {
    return chooseColumns(table, { ...readOptions(options), labels: "required" }).label;
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    // A column that the user named and the table lacks is an error of its own.
    const named = [options.textColumn, options.pairColumn, options.labelColumn];
    if (named.some((name) => name !== null && !table.columns.includes(name))) throw error;
    return undefined;
  }
}

/** Distinct labels above which a column may hold something else than classes. */
const MOST_CLASSES = 100;

async function classesOrScores(
  table: Table,
  label: string,
  { labels }: InferenceOptions,
): Promise<InferredTask> {
  const cells = await cellsOf(table, label);
  const reason = `the column ${quoted([label])} of ${table.name}`;
  if (labels !== null) return { task: "classification", reason: "--labels" };
  const numbers = cells.filter(isNumberCell);
  // A score that is not finite, which the reader refuses by its line, makes no classes of the rest.
  const areNumbers = cells.every((cell) => isNumberCell(cell) || isNotFinite(cell));
  const areScores = areNumbers && numbers.some((cell) => !/^[+-]?\d+$/.test(String(cell)));
  if (areScores) return { task: "regression", reason: `${reason} holds numbers with fractions` };
  if (cells.length > 0 && cells.every((cell) => isNumberCell(cell) || isDecimalComma(cell))) {
    const comma = cells.find(isDecimalComma);
    const rule = `${quoted([label])} holds numbers with a decimal comma, such as ${String(comma)}: write a point`;
    if (comma !== undefined) throw taskErrors.undecidedTask(table.name, rule);
  }
  const distinct = new Set(cells.map(String)).size;
  if (distinct > MOST_CLASSES && 2 * distinct > cells.length) {
    throw taskErrors.undecidedTask(
      table.name,
      `${quoted([label])} has ${distinct} distinct values in ${cells.length} rows`,
    );
  }
  return { task: "classification", reason: `${reason} holds ${distinct} classes` };
}

const isNotFinite = (cell: unknown) => /^[+-]?(nan|inf(inity)?)$/i.test(String(cell));

/** Whether a column holds texts, most of them different. */
async function isText(table: Table, column: string): Promise<boolean> {
  const cells = await cellsOf(table, column);
  const texts = cells.filter((cell) => typeof cell === "string" && !isNumberCell(cell));
  return texts.length === cells.length && 2 * new Set(texts).size > cells.length;
}

/** The cells of a column, without empty ones. */
async function cellsOf(table: Table, column: string): Promise<readonly unknown[]> {
  const rows = await table.read([column]);
  const cells = rows.map(({ cells: [cell] }) => cell);
  return cells.filter((cell) => cell !== undefined && cell !== null && cell !== "");
}

const columnsText = (names: readonly string[]) =>
  `the columns ${names
    .slice(0, -1)
    .map((name) => quoted([name]))
    .join(", ")} and ${quoted(names.slice(-1))}`;

const readOptions = (options: InferenceOptions) => ({
  ...columnOptions(options),
  observer: options.observer,
});
