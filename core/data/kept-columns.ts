import { errors } from "../errors.ts";
import { quoted, type Table } from "./table.ts";

/** Input columns that predictions carry through: all of them, or these. */
export type KeepColumns = "all" | readonly string[];

/** The kept cells of a row, by column, as values that JSON can hold; undefined: an absent cell. */
export type KeptCells = Readonly<Record<string, unknown>>;

/** The columns of a table to keep. Throws E_FILE for a requested one that the table lacks. */
export function columnsToKeep(table: Table, keep: KeepColumns | undefined): readonly string[] {
  if (keep === undefined) return [];
  const columns = table.allColumns?.() ?? table.columns;
  return chosenColumns(columns, keep, table.header?.location ?? table.name);
}

/**
 * The cells to keep of rows with all their cells. Throws E_FILE at `where` for a requested column
 * that no row has.
 */
export function pickCells(
  rows: readonly KeptCells[],
  keep: KeepColumns,
  where: string,
): readonly KeptCells[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const chosen = chosenColumns(columns, keep, where);
  return rows.map((row) => {
    const present = chosen.filter((column) => Object.hasOwn(row, column));
    return Object.fromEntries(present.map((column) => [column, row[column]]));
  });
}

/** A row's kept cells by column. */
export function keptCells(columns: readonly string[], cells: readonly unknown[]): KeptCells {
  return Object.fromEntries(columns.map((column, i) => [column, jsonValue(cells[i])]));
}

// --- internal ---

/** The columns to keep of those that exist. */
function chosenColumns(
  columns: readonly string[],
  keep: KeepColumns,
  where: string,
): readonly string[] {
  if (keep === "all") return columns;
  const missing = keep.filter((name) => !columns.includes(name));
  if (missing.length === 0) return keep;
  const noun = missing.length === 1 ? "column" : "columns";
  throw errors.file(
    where,
    `there is no ${noun} ${quoted(missing)} to keep: got ${quoted(columns)}`,
    "--keep-columns names columns of the input, or is all",
  );
}

/** A cell as a value that JSON can hold: parquet has bigints, dates and bytes. */
function jsonValue(cell: unknown): unknown {
  if (typeof cell === "bigint") {
    return Number.isSafeInteger(Number(cell)) ? Number(cell) : String(cell);
  }
  if (typeof cell !== "object" || cell === null) return cell;
  if (cell instanceof Date) return cell.toISOString();
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString("base64");
  if (Array.isArray(cell)) return cell.map(jsonValue);
  return Object.fromEntries(Object.entries(cell).map(([key, value]) => [key, jsonValue(value)]));
}
