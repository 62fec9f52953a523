import type { KeptCells } from "../core/data/kept-columns.ts";

/** A file format of predictions. */
export type TableFormat = "jsonl" | "csv" | "tsv";

/** A row's prediction: a line of predictions.jsonl. */
export type PredictionRecord = Readonly<Record<string, unknown>>;

/** Predictions as text. */
export interface PredictionText {
  readonly text: string;
  /** What the format could not hold as it is. */
  readonly warnings: readonly string[];
}

/**
 * Predictions of a split as records, each with the split's name if given and the kept cells of its
 * row. A kept column that is named like a part of the prediction becomes "input_NAME"; one named
 * "index" or "id" replaces the row's number.
 */
export function recordsOf(
  records: readonly object[],
  kept: readonly KeptCells[] | undefined,
  split?: string,
): readonly PredictionRecord[] {
  return records.map((record, i) => withKept(Object.entries(record), kept?.[i], split));
}

/** A file of predictions. CSV and TSV have a header and a column per class's probability. */
export function predictionText(
  records: readonly PredictionRecord[],
  format: TableFormat,
): PredictionText {
  if (format === "jsonl") {
    return { text: records.map((one) => `${JSON.stringify(one)}\n`).join(""), warnings: [] };
  }
  const rows = records.map(flattened);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [columns, ...rows.map((row) => columns.map((column) => cellText(row[column])))];
  return format === "csv" ? csvText(cells) : tsvText(cells);
}

// --- internal ---

/** The parts of a record that identify its row. */
const identity: ReadonlySet<string> = new Set(["index", "id"]);

function withKept(
  entries: readonly (readonly [string, unknown])[],
  kept: KeptCells | undefined,
  split: string | undefined,
): PredictionRecord {
  const first = entries.filter(([key]) => identity.has(key));
  const rest = entries.filter(([key]) => !identity.has(key));
  const taken = new Set([...rest.flatMap(([key, value]) => columnsOf(key, value)), "split"]);
  const carried = Object.entries(kept ?? {}).map(([key, value]) => [freeName(key, taken), value]);
  return Object.fromEntries([
    ...(split === undefined ? [] : [["split", split]]),
    ...first,
    ...carried,
    ...rest,
  ]);
}

function freeName(name: string, taken: Set<string>): string {
  const free = taken.has(name) ? freeName(`input_${name}`, taken) : name;
  taken.add(free);
  return free;
}

/** The names of a part of a prediction in JSON lines and in tables. */
const columnsOf = (key: string, value: unknown) => [key, ...tableCells(key, value).map(([c]) => c)];

function flattened(record: PredictionRecord): PredictionRecord {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => tableCells(key, value)),
  );
}

/** A part of a prediction as cells of a table, which leaves logits out. */
function tableCells(key: string, value: unknown): readonly (readonly [string, unknown])[] {
  if (key === "logits") return [];
  if (key !== "probabilities" || typeof value !== "object" || value === null) return [[key, value]];
  return Object.entries(value).map(([name, one]) => [`probability_${name}`, one]);
}

function cellText(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** RFC 4180, with LF. */
function csvText(cells: readonly (readonly string[])[]): PredictionText {
  const quote = (cell: string) =>
    /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return { text: cells.map((row) => `${row.map(quote).join(",")}\n`).join(""), warnings: [] };
}

/** TSV has no quoting: a tab or a line break inside a cell becomes a space. */
function tsvText(cells: readonly (readonly string[])[]): PredictionText {
  let changed = 0;
  const plain = (cell: string) => {
    if (!/[\t\r\n]/.test(cell)) return cell;
    changed++;
    return cell.replaceAll(/[\t\r\n]+/g, " ");
  };
  const text = cells.map((row) => `${row.map(plain).join("\t")}\n`).join("");
  const count = changed === 1 ? "1 cell" : `${changed} cells`;
  const warning = `tabs and line breaks in ${count} became spaces: TSV has none, .csv keeps them`;
  return { text, warnings: changed === 0 ? [] : [warning] };
}
