import { errors } from "../errors.ts";
import type { Row, Table } from "./table.ts";

type JsonObject = Readonly<Record<string, unknown>>;

interface Item {
  /** The line (JSON lines) or the item's number (a list), from 1. */
  readonly at: number;
  readonly object: JsonObject;
}

/** JSON lines: an object a line, blank lines skipped. Throws E_FILE with file:line. */
export function jsonLinesTable(text: string, name: string): Table {
  const place = (line: number) => `${name}:${line}`;
  const items: Item[] = [];
  let at = 0;
  // LF alone ends a line: U+2028 and its kin are ordinary characters in JSON.
  for (const line of text.split("\n")) {
    at++;
    if (line.trim() === "") continue;
    items.push({ at, object: objectOf(parse(line, place(at), "line"), place(at), "line") });
  }
  return objectTable(items, name, place);
}

/** One JSON list of objects. Throws E_FILE with the item's number. */
export function jsonListTable(text: string, name: string): Table {
  const place = (item: number) => `${name}: item ${item}`;
  const list = parse(text, name, "file");
  if (!Array.isArray(list))
    throw errors.file(name, `must be a list of objects, got ${typeOf(list)}`);
  const items = list.map((value: unknown, i) => ({
    at: i + 1,
    object: objectOf(value, place(i + 1), "item"),
  }));
  return objectTable(items, name, place);
}

/** What a value is, in words: "null", "a number", "an array". */
export function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? "an object" : `a ${type}`;
}

function objectTable(items: readonly Item[], name: string, place: (at: number) => string): Table {
  const [first] = items;
  if (first === undefined) throw errors.file(name, "the file is empty: no rows");
  return {
    name,
    columns: Object.keys(first.object),
    header: { noun: "object", place: place(first.at) },
    place,
    read: async (columns) => items.map((item) => rowOf(item, columns)),
  };
}

function rowOf({ at, object }: Item, columns: readonly string[]): Row {
  return {
    at,
    cells: columns.map((key) => (Object.hasOwn(object, key) ? object[key] : undefined)),
  };
}

function parse(text: string, place: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.replace(/^JSON Parse error: /, "") : "";
    throw errors.file(place, `the ${what} is not valid JSON (${detail})`, undefined, cause);
  }
}

function objectOf(value: unknown, place: string, what: string): JsonObject {
  if (isObject(value)) return value;
  throw errors.file(place, `the ${what} is ${typeOf(value)}, not an object`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
