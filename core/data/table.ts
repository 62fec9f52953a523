/** A row with the cells that were asked for; a cell is whatever the format holds, undefined where it holds none. */
export interface Row {
  /** The line, item or row number: a message's place is `table.place(row.at)`. */
  readonly position: number;
  readonly cells: readonly unknown[];
}

/** Named columns of a file, whatever its format. */
export interface Table {
  /** The file's name for messages. */
  readonly name: string;
  readonly columns: readonly string[];
  /** What names the columns, and where: "header" at "a.tsv:1". Undefined where the task names them (CoLA). */
  readonly header: { readonly noun: string; readonly location: string } | undefined;
  /** Text formats: what separates the columns. */
  readonly delimiter?: string;
  location(position: number): string;
  /** Every row, with the cells of these columns in this order. */
  read(columns: readonly string[]): Promise<Row[]>;
  /** Class names that the file itself records for a column of integers. */
  classNames?(column: string): readonly string[] | undefined;
}

/** One record of a text format before its fields are named. */
export interface TextRecord {
  /** The line on which it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** Names in quotes, joined by commas; at most 12 are shown. */
export function quoted(names: readonly string[]): string {
  const shown = names.slice(0, 12).map((name) => JSON.stringify(name));
  if (names.length > shown.length) shown.push("…");
  return shown.join(", ");
}
