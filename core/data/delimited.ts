import { errors } from "../errors.ts";
import { csvRecords } from "./csv.ts";
import { type DelimiterName, delimiters } from "./delimiters.ts";
import { attemptRow, type RowObserver } from "./row-observer.ts";
import { quoted, type Row, type Table, type TextRecord } from "./table.ts";
import type { Warnings } from "./warnings.ts";

/** How a delimited text is read. */
export interface DelimitedOptions {
  /** TSV has no quoting (GLUE's rule); CSV follows RFC 4180. */
  readonly format: "tsv" | "csv";
  /** The separator of CSV's columns; default: comma. */
  readonly delimiter?: DelimiterName | undefined;
  /** Names of the fields where the file has no header. */
  readonly fields?: readonly string[] | undefined;
  /** The task whose rows have these fields, for messages: "CoLA". */
  readonly taskName?: string | undefined;
  /** Skip rows of the wrong width with a warning instead of an error. */
  readonly skipBrokenRows?: boolean | undefined;
  /** Whether quotes in TSV are known to be text, as in GLUE's files: no warning about them. */
  readonly hasPlainQuotes?: boolean | undefined;
  readonly observer?: RowObserver | undefined;
  readonly warnings: Warnings;
}

/**
 * TSV or CSV text as a table. Throws E_FILE with file:line on an empty file or a duplicate name in
 * the header and, during `read`, on a row of the wrong width. Blank lines inside the file are
 * skipped with a warning.
 */
export function delimitedTable(text: string, name: string, options: DelimitedOptions): Table {
  if (text.length === 0) throw errors.file(name, "the file is empty");
  if (!text.includes("\n") && text.trimEnd().includes("\r")) {
    throw errors.file(
      `${name}:1`,
      "lines end with CR alone",
      "convert the line ends to LF or CR LF",
    );
  }
  const delimiter = options.format === "tsv" ? "\t" : delimiters[options.delimiter ?? "comma"];
  const records =
    options.format === "tsv"
      ? tsvRecords(text)
      : csvRecords(text, name, delimiter, options.observer);
  const columns = options.fields ?? headerOf(records, name);
  return {
    name,
    columns,
    header: options.fields === undefined ? { noun: "header", location: `${name}:1` } : undefined,
    delimiter,
    location: (line) => `${name}:${line}`,
    read: async (requested) => readRows(records, name, columns, requested, options),
  };
}

/** Lines split at LF or CR LF, fields split at TAB; no quoting, no trimming. */
export function* tsvRecords(text: string): Generator<TextRecord> {
  let line = 0;
  for (let start = 0; start < text.length;) {
    line++;
    const newline = text.indexOf("\n", start);
    const next = newline === -1 ? text.length : newline;
    const end = text[next - 1] === "\r" && next > start && newline !== -1 ? next - 1 : next;
    yield { line, fields: text.slice(start, end).split("\t") };
    start = next + 1;
  }
}

function headerOf(records: Iterator<TextRecord>, name: string): readonly string[] {
  const first = records.next();
  const columns: readonly string[] = first.done === true ? [] : first.value.fields;
  if (columns.every((column) => column.trim() === "")) {
    throw errors.file(`${name}:1`, "the header is blank");
  }
  const seen = new Set<string>();
  const duplicates = columns.filter((column) => seen.size === seen.add(column).size);
  if (duplicates.length > 0) {
    throw errors.file(`${name}:1`, `the header has ${quoted(duplicates)} more than once`);
  }
  return columns;
}

function readRows(
  records: Iterable<TextRecord>,
  name: string,
  columns: readonly string[],
  requested: readonly string[],
  options: DelimitedOptions,
): Row[] {
  const { fields, taskName, skipBrokenRows = false, observer, warnings } = options;
  const mayBeCsv = options.format === "tsv" && options.hasPlainQuotes !== true;
  const indices = requested.map((column) => columns.indexOf(column));
  const rule = fields === undefined ? "the header has" : `${taskName ?? "its"} rows have`;
  const rows: Row[] = [];
  let blanks: number[] = [];
  for (const record of records) {
    if (isBlank(record, columns.length)) {
      blanks.push(record.line);
      continue;
    }
    for (const line of blanks)
      warnings.add("blank", `${name}:${line}`, "the line is blank: skipped");
    blanks = [];
    if (record.fields.length === columns.length) {
      const cells = indices.map((index) => record.fields[index]);
      if (mayBeCsv && cells.some(isCsvCell))
        warnings.add("quotes", `${name}:${record.line}`, `quotes are read as text: ${csvHint}`);
      rows.push({ position: record.line, cells });
      continue;
    }
    const problem = `row has ${countFields(record.fields.length)}, ${rule} ${columns.length}`;
    if (!skipBrokenRows) {
      attemptRow(() => {
        const hint = mayBeCsv && record.fields.some(isOpenCell) ? csvHint : hintFor(fields);
        throw errors.file(`${name}:${record.line}`, problem, hint);
      }, observer);
      continue;
    }
    warnings.add("broken", `${name}:${record.line}`, `${problem}: skipped`);
  }
  return rows;
}

const countFields = (fields: number) => (fields === 1 ? "1 field" : `${fields} fields`);

function hintFor(fields: readonly string[] | undefined): string | undefined {
  if (fields === undefined) return undefined;
  return "this layout has no header; for a file with a header, name the column of the text with --text-column";
}

const csvHint =
  "TSV has no quoting; a file with CSV's quotes is read as such if it ends in .csv, with --delimiter tab";

/** Whether a record is an empty line; a quoted cell without text is the row of a single column. */
const isBlank = ({ fields, isQuoted }: TextRecord, columns: number): boolean =>
  fields.length === 1 && fields[0] === "" && !(isQuoted === true && columns === 1);

/** Whether a cell is what a CSV writer makes of a text with quotes: "He said ""hi""". */
function isCsvCell(cell: string | undefined): boolean {
  if (cell === undefined || cell.length < 4 || !cell.startsWith('"') || !cell.endsWith('"'))
    return false;
  const inner = cell.slice(1, -1);
  return inner.includes('""') && !inner.replaceAll('""', "").includes('"');
}

/** Whether a cell begins with a quote and does not end with one, as before a quoted line break. */
const isOpenCell = (cell: string): boolean =>
  cell.startsWith('"') && (cell === '"' || !cell.endsWith('"'));
