import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { isJsonObject, type JsonObject } from "../io/json-file.ts";
import { attemptRow, type RowObserver } from "./row-observer.ts";
import type { Row, Table } from "./table.ts";

interface Item {
  /** The line (JSON lines) or item number (a list), from 1. */
  readonly position: number;
  readonly object: JsonObject;
}

/** JSON lines: one object per line, blank lines skipped. Throws E_FILE with file:line. */
export function jsonLinesTable(text: string, name: string, observer?: RowObserver): Table {
  const location = (line: number) => `${name}:${line}`;
  const items: Item[] = [];
  let position = 0;
  // Only LF ends a line: U+2028 and U+2029 are ordinary characters in JSON.
  for (const line of text.split("\n")) {
    position++;
    if (line.trim() === "") continue;
    const where = location(position);
    const read = () => objectOf(parse(line, where, "line"), where, "line");
    const object = attemptRow(read, observer);
    if (object !== undefined) items.push({ position, object });
  }
  return objectTable(items, name, location);
}

/** A JSON list of objects. Throws E_FILE with the item's number. */
export function jsonListTable(text: string, name: string): Table {
  const location = (item: number) => `${name}: item ${item}`;
  const list = parse(text, name, "file");
  if (!Array.isArray(list))
    throw errors.file(name, `must be a list of objects, got ${typeOf(list)}`);
  const items = list.map((value: unknown, i) => ({
    position: i + 1,
    object: objectOf(value, location(i + 1), "item"),
  }));
  return objectTable(items, name, location);
}

/** The type of a value for messages: "null", "a number", "an array". */
export function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? "an object" : `a ${type}`;
}

function objectTable(
  items: readonly Item[],
  name: string,
  location: (position: number) => string,
): Table {
  const [first] = items;
  if (first === undefined) throw errors.file(name, "the file is empty: no rows");
  return {
    name,
    columns: Object.keys(first.object),
    allColumns: () => [...new Set(items.flatMap(({ object }) => Object.keys(object)))],
    header: { noun: "object", location: location(first.position) },
    location,
    read: async (columns) => items.map((item) => rowOf(item, columns)),
  };
}

function rowOf({ position, object }: Item, columns: readonly string[]): Row {
  return {
    position,
    cells: columns.map((key) => (Object.hasOwn(object, key) ? object[key] : undefined)),
  };
}

function parse(text: string, location: string, noun: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.replace(/^JSON Parse error: /, "") : "";
    throw errors.file(
      location,
      `the ${noun} is not valid JSON (${cutText(detail)})`,
      undefined,
      cause,
    );
  }
}

function objectOf(value: unknown, location: string, noun: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw errors.file(location, `the ${noun} is ${typeOf(value)}, not an object`);
}
