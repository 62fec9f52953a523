import { extname } from "node:path";
import { errors } from "../errors.ts";
import { readRegular } from "../io/regular-file.ts";
import { type DelimitedOptions, delimitedTable, tsvRecords } from "./delimited.ts";
import { type DelimiterName, delimiterIn } from "./delimiters.ts";
import type { GlueTask, SplitRole } from "./glue-tasks.ts";
import { jsonLinesTable, jsonListTable } from "./json-table.ts";
import { parquetTable } from "./parquet-table.ts";
import type { RowObserver } from "./row-observer.ts";
import type { Table } from "./table.ts";
import { decodeText } from "./text-file.ts";
import type { Warnings } from "./warnings.ts";

/**
 * The path of a file, or bytes from elsewhere (standard input), whose format is detected from their
 * start.
 */
export type DataSource =
  | string
  | { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> };

/** The source's name in messages: its path, or the name given to its bytes. */
export function sourceName(source: DataSource): string {
  return typeof source === "string" ? source : source.name;
}

type DataFormat = "tsv" | "csv" | "jsonl" | "json" | "parquet";

const formats: ReadonlyMap<string, DataFormat> = new Map([
  [".tsv", "tsv"],
  [".txt", "tsv"],
  [".csv", "csv"],
  [".jsonl", "jsonl"],
  [".ndjson", "jsonl"],
  [".json", "json"],
  [".parquet", "parquet"],
]);

/** The format of a file by its extension; undefined if unknown. */
export function formatOf(path: string): DataFormat | undefined {
  return formats.get(extname(path).toLowerCase());
}

interface OpenOptions {
  readonly task?: GlueTask | undefined;
  readonly role: SplitRole;
  /** The user named the columns, so the file has a header whatever the task's layout. */
  readonly hasHeader: boolean;
  /** The separator of a text format's columns; default: by the file's ending and header. */
  readonly delimiter?: DelimiterName | undefined;
  readonly observer?: RowObserver | undefined;
  readonly warnings: Warnings;
}

/**
 * Opens a file of any format as a table. Throws E_FILE on an unknown extension, and on anything the
 * format's reader rejects.
 */
export async function openTable(source: DataSource, options: OpenOptions): Promise<Table> {
  const { name, bytes, format } = contentOf(source);
  if (format === "parquet") return parquetTable(bytes, name);
  const text = decodeText(bytes, name);
  if (format === "jsonl" || (format === "json" && !text.trimStart().startsWith("["))) {
    return jsonLinesTable(text, name, options.observer);
  }
  if (format === "json") return jsonListTable(text, name);
  return delimitedTable(text, name, delimitedOptions(text, name, format, options));
}

function contentOf(source: DataSource) {
  if (typeof source !== "string") return { ...source, format: detectFormat(source.bytes) };
  const format = formatOf(source);
  if (format !== undefined) return { name: source, bytes: readRegular(source), format };
  throw errors.file(
    source,
    "the extension is not a known format",
    `known: ${[...formats.keys()].join(", ")}`,
  );
}

function detectFormat(bytes: Uint8Array): DataFormat {
  // The first line shows the format; 64 KiB is enough of it.
  const start = new TextDecoder().decode(bytes.subarray(0, 65_536)).trimStart();
  if (start.startsWith("PAR1")) return "parquet";
  if (start.startsWith("{")) return "jsonl";
  if (start.startsWith("[")) return "json";
  return start.split("\n", 1)[0]?.includes("\t") === true ? "tsv" : "csv";
}

function delimitedOptions(
  text: string,
  name: string,
  ending: "tsv" | "csv",
  options: OpenOptions,
): DelimitedOptions {
  const { task, warnings } = options;
  // Any delimiter but TSV's own brings CSV's quoting with it.
  const isOther = options.delimiter !== undefined && options.delimiter !== "tab";
  const format = isOther ? "csv" : ending;
  const delimiter = options.delimiter ?? semicolonIn(text, name, format, warnings);
  const isOfficial = format === "tsv" && task !== undefined && !options.hasHeader;
  const headerless = isOfficial && !hasTestHeader(text, options);
  return {
    format,
    delimiter,
    observer: options.observer,
    warnings,
    fields: headerless ? task.tsv.fields : undefined,
    taskName: task?.folder,
    // A submission needs every row of a test file, in its place.
    skipBrokenRows: isOfficial && task.hasBrokenRows === true && options.role !== "test",
    hasPlainQuotes: isOfficial,
  };
}

/** Spreadsheets of many languages save CSV with semicolons: noted, so that a wrong guess is seen. */
function semicolonIn(
  text: string,
  name: string,
  format: "tsv" | "csv",
  warnings: Warnings,
): "semicolon" | undefined {
  const header = text.slice(0, 65_536).split("\n", 1)[0] ?? "";
  if (format !== "csv" || header.includes(",") || delimiterIn(header) !== "semicolon")
    return undefined;
  warnings.add("delimiter", `${name}:1`, "columns are separated by semicolons");
  return "semicolon";
}

/** CoLA's test file has a header although train and dev have none. */
function hasTestHeader(text: string, { task, role }: OpenOptions): boolean {
  if (role !== "test" || task === undefined) return false;
  const first = tsvRecords(text).next();
  return first.done !== true && first.value.fields.includes(task.tsv.columns.text);
}
