import { excerpt } from "../excerpt.ts";

/**
 * A row with its requested cells; a cell has the type that the format gives it, undefined when
 * absent.
 */
export interface Row {
  /** Line, item or row number, from 1; `table.location(position)` describes it in messages. */
  readonly position: number;
  readonly cells: readonly unknown[];
}

/** A file with named columns, whatever its format. */
export interface Table {
  /** The file's name in messages. */
  readonly name: string;
  readonly columns: readonly string[];
  /** The columns of all rows, where rows may differ (JSON); `columns` are the first row's. */
  allColumns?(): readonly string[];
  /**
   * What names the columns, and where: "header" at "a.tsv:1". Undefined when the task names them
   * (CoLA).
   */
  readonly header: { readonly noun: string; readonly location: string } | undefined;
  /** The column separator of a text format. */
  readonly delimiter?: string;
  /** The location of a row in messages, "a.tsv:3". */
  location(position: number): string;
  /** Every row, with the cells of these columns in this order. */
  read(columns: readonly string[]): Promise<Row[]>;
  /** Class names that the file records for an integer column. */
  classNames?(column: string): readonly string[] | undefined;
}

/** A record of a text format before its fields are named. */
export interface TextRecord {
  /** The line on which it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
  /** Whether its first field is in quotes: without text it is then no empty line. */
  readonly isQuoted?: boolean;
}

/** Names in quotes, joined by commas; at most 12 are shown, and 40 characters of each. */
export function quoted(names: readonly string[]): string {
  const shown = names.slice(0, 12).map((name) => excerpt(name, 40));
  if (names.length > shown.length) shown.push("…");
  return shown.join(", ");
}
