import { errors } from "../errors.ts";
import { chooseColumns, type ChosenColumns, type ColumnOptions } from "./columns.ts";
import type { GlueTask, SplitRole } from "./glue-tasks.ts";
import { columnsToKeep, type KeepColumns, type KeptCells, keptCells } from "./kept-columns.ts";
import {
  classNameOf,
  classNamesIn,
  classParser,
  formChecker,
  type LabelRules,
  scoreParser,
  formatCell,
} from "./labels.ts";
import { type DataSource, openTable, sourceName } from "./open-table.ts";
import { attemptRow } from "./row-observer.ts";
import { quoted, type Row, type Table } from "./table.ts";
import { textOf } from "./text-field.ts";
import { createWarnings, type Warnings } from "./warnings.ts";

/** A text or a pair of texts, exactly as in the file. */
export interface Example {
  /** Index among the split's examples, from 0; equal to its index in the list. */
  readonly index: number;
  readonly text: string;
  readonly pair?: string;
  /** The class index or the score; absent on a row without a label. */
  readonly label?: number;
}

/** The checked examples of a split. */
export interface ExampleSet {
  readonly examples: readonly Example[];
  /** Classification: class names by index. */
  readonly labelNames: readonly string[] | undefined;
  /** One line per kind of suspicious but usable content. */
  readonly warnings: readonly string[];
  /** [n] the cells that the split keeps, if it keeps any. */
  readonly kept?: readonly KeptCells[] | undefined;
}

/** Selects rows by the cells of some columns: MRPC's split by sentence ids. */
export interface RowFilter {
  readonly columns: readonly string[];
  keep(cells: readonly unknown[]): boolean;
}

/** The files of a split, in order: a single file, or its shards. */
export interface DataSplit {
  /** Its name on the hub, "validation_matched"; for a single file, the name of its role. */
  readonly name: string;
  readonly role: SplitRole;
  readonly files: readonly DataSource[];
  readonly filter?: RowFilter | undefined;
  /** Columns that predictions carry through; default: none. */
  readonly keep?: KeepColumns | undefined;
  /**
   * Indices of the examples that belong to it, where a run divided a file; undefined: all. Limits
   * count within them.
   */
  readonly rows?: readonly number[] | undefined;
}

/** What to read from a split. */
export interface ReadSpec extends ColumnOptions {
  readonly task?: GlueTask | undefined;
  readonly kind: "classification" | "regression";
  /**
   * The classes, from the training set or a saved adapter; any other label is an error. Default:
   * the task's classes, or without a task those found in the file.
   */
  readonly labelNames?: readonly string[] | undefined;
  /** Read at most this many examples, from the start. */
  readonly limit?: number | undefined;
}

/**
 * Reads and checks every example of a split. Throws E_FILE naming file and line (or row) on
 * anything that could fail a run later: missing columns, ragged rows, unknown labels, scores that
 * are not finite numbers, invalid UTF-8, no rows. Drops nothing without a warning.
 */
export async function readExamples(split: DataSplit, spec: ReadSpec): Promise<ExampleSet> {
  const warnings = createWarnings();
  const rows: CheckedRow[] = [];
  for (const source of split.files) {
    for (const row of await readFile(source, split, spec, warnings)) rows.push(row);
  }
  if (rows.length === 0) throw noRows(split);
  const limited = spec.limit === undefined ? rows : rows.slice(0, spec.limit);
  const labelNames = spec.kind === "regression" ? undefined : classesOf(rows, split, spec);
  return {
    examples: toExamples(limited, labelNames, spec, warnings),
    labelNames,
    warnings: warnings.lines(),
    kept: split.keep && limited.map(({ kept }) => kept),
  };
}

/** A row with its texts checked and its label still unparsed. */
interface CheckedRow {
  readonly text: string;
  readonly pair: string | undefined;
  readonly label: unknown;
  readonly position: number;
  readonly kept: KeptCells;
  readonly file: RowFile;
}

interface RowFile {
  readonly table: Table;
  readonly rules: LabelRules;
  readonly columns: ChosenColumns;
  /** The kept columns; their cells are a row's last ones. */
  readonly keep: readonly string[];
}

async function readFile(
  source: DataSource,
  split: DataSplit,
  spec: ReadSpec,
  warnings: Warnings,
): Promise<CheckedRow[]> {
  const hasHeader = spec.textColumn !== undefined || spec.labelColumn !== undefined;
  const { task, delimiter, observer } = spec;
  const options = { task, role: split.role, hasHeader, delimiter, observer, warnings };
  const table = await openTable(source, options);
  const columns = chooseColumns(table, spec);
  const filter = split.filter;
  const keep = columnsToKeep(table, split.keep);
  const requested = [columns.text, columns.pair, columns.label].filter(
    (name) => name !== undefined,
  );
  const filtering = [...requested, ...(filter?.columns ?? [])];
  const rows = await table.read([...filtering, ...keep]);
  const kept =
    filter === undefined
      ? rows
      : rows.filter((row) => filter.keep(row.cells.slice(requested.length, filtering.length)));
  const file = { table, rules: rulesFor(table, columns, spec), columns, keep };
  return kept.flatMap((row) => attemptRow(() => checkRow(row, file, warnings), observer) ?? []);
}

function rulesFor(table: Table, columns: ChosenColumns, spec: ReadSpec): LabelRules {
  return {
    column: columns.label ?? "label",
    optional: spec.labels !== "required",
    hint:
      table.header === undefined
        ? `this layout has no header line; its columns are ${quoted(table.columns)}`
        : undefined,
  };
}

function checkRow(row: Row, file: RowFile, warnings: Warnings): CheckedRow {
  const { table, columns, keep } = file;
  const { position, cells } = row;
  const text = cellText(cells[0], columns.text, table, position, warnings);
  const pair =
    columns.pair === undefined
      ? undefined
      : cellText(cells[1], columns.pair, table, position, warnings);
  const label = columns.label === undefined ? undefined : cells[columns.pair === undefined ? 1 : 2];
  return {
    text,
    pair,
    label: classNamedByFile(label, table, columns.label, position),
    position,
    kept: keptCells(keep, cells.slice(cells.length - keep.length)),
    file,
  };
}

/** A cell's text; an empty one is only a warning. */
function cellText(
  cell: unknown,
  column: string,
  table: Table,
  position: number,
  warnings: Warnings,
): string {
  const text = textOf({ value: cell, key: column, location: () => table.location(position) });
  if (text.trim() === "")
    warnings.add(`empty ${column}`, table.location(position), `"${column}" is empty`);
  return text;
}

/**
 * Where the file records its class names, an integer refers to those: their order may differ from
 * the task's.
 */
function classNamedByFile(
  cell: unknown,
  table: Table,
  column: string | undefined,
  position: number,
): unknown {
  const names = column === undefined ? undefined : table.classNames?.(column);
  const isInteger = typeof cell === "bigint" || typeof cell === "number";
  if (names === undefined || !isInteger || Number(cell) === -1) return cell;
  const name = names[Number(cell)];
  if (name !== undefined) return name;
  throw errors.file(
    table.location(position),
    `"${column}" ${formatCell(cell)} is not one of the file's ${names.length} classes`,
  );
}

function classesOf(rows: readonly CheckedRow[], split: DataSplit, spec: ReadSpec) {
  const known = spec.labelNames ?? spec.task?.labelNames;
  if (known !== undefined) return known;
  const [first] = rows;
  const column = first?.file.rules.column ?? "label";
  const recorded = first?.file.table.classNames?.(column);
  if (recorded !== undefined) return recorded;
  const checkForm = first && formChecker(first.file.rules);
  // The row is a problem once more when its label is parsed.
  const observer = spec.observer && { ...spec.observer, onProblem() {} };
  const cells = rows.map(({ label, position, file: { table, rules } }) => {
    const location = table.location(position);
    return attemptRow(() => {
      const name = classNameOf(label, location, rules);
      if (name !== undefined) checkForm?.(label, location);
      return name;
    }, observer);
  });
  return classNamesIn(
    cells.filter((cell) => cell !== undefined),
    nameOf(split),
    column,
  );
}

function toExamples(
  rows: readonly CheckedRow[],
  labelNames: readonly string[] | undefined,
  spec: ReadSpec,
  warnings: Warnings,
): Example[] {
  const parsers = new Map<RowFile, ReturnType<typeof classParser>>();
  const [first] = rows;
  const checkForm = first && formChecker(first.file.rules);
  const parserOf = (file: RowFile) => {
    const parser =
      spec.kind === "regression"
        ? scoreParser(spec.task?.scoreRange, file.rules, warnings)
        : classParser(labelNames ?? [], file.rules, checkForm);
    parsers.set(file, parser);
    return parser;
  };
  const { observer } = spec;
  const examples: Example[] = [];
  for (const { text, pair, label: cell, position, file } of rows) {
    const parse = parsers.get(file) ?? parserOf(file);
    const location = () => file.table.location(position);
    const parsed = attemptRow(() => ({ label: parse(cell, location()) }), observer);
    if (parsed === undefined) continue;
    const { label } = parsed;
    observer?.onRow(location);
    examples.push({
      index: examples.length,
      text,
      ...(pair === undefined ? {} : { pair }),
      ...(label === undefined ? {} : { label }),
    });
  }
  return examples;
}

/** The names of a split's files in messages. */
export const sourceNamesOf = ({ files }: DataSplit): string[] => files.map(sourceName);

function nameOf({ files }: DataSplit): string {
  const [first] = files;
  return first === undefined ? "data" : sourceName(first);
}

function noRows(split: DataSplit) {
  return errors.file(nameOf(split), "there are no rows");
}
