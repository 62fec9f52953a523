import { errors } from "../errors.ts";
import { typeOf } from "./json-table.ts";

/** A value that must be text, and how to speak of it. */
export interface TextField {
  readonly value: unknown;
  readonly key: string;
  /** What the value belongs to, 'question "q2"'; a row of a table needs no name. */
  readonly owner?: string;
  readonly place: () => string;
}

/** The text of a field, as it is. Throws E_FILE where it is missing, no string, or holds half of a surrogate pair. */
export function textOf({ value, key, owner, place }: TextField): string {
  const about = owner === undefined ? "" : `${owner}: `;
  if (value === undefined) throw errors.file(place(), `${owner ?? "the row"} lacks "${key}"`);
  if (typeof value !== "string") {
    throw errors.file(place(), `${about}"${key}" is ${typeOf(value)}, not a string`);
  }
  if (!value.isWellFormed()) {
    throw errors.file(place(), `${about}"${key}" holds half of a surrogate pair: not text`);
  }
  return value;
}
