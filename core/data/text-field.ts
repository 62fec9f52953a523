import { errors } from "../errors.ts";
import { typeOf } from "./json-table.ts";

/** A value that must be text, and how to speak of it. */
interface TextField {
  readonly value: unknown;
  readonly key: string;
  /** What the value belongs to, 'question "q2"'; a row of a table needs no name. */
  readonly subject?: string;
  readonly location: () => string;
}

/** The text of a field, as it is. Throws E_FILE where it is missing, no string, or holds half of a surrogate pair. */
export function textOf({ value, key, subject, location }: TextField): string {
  const about = subject === undefined ? "" : `${subject}: `;
  if (value === undefined) throw errors.file(location(), `${subject ?? "the row"} lacks "${key}"`);
  if (typeof value !== "string") {
    throw errors.file(location(), `${about}"${key}" is ${typeOf(value)}, not a string`);
  }
  if (!value.isWellFormed()) {
    throw errors.file(location(), `${about}"${key}" holds half of a surrogate pair: not text`);
  }
  return value;
}
