import { errors } from "../errors.ts";
import { typeOf } from "./json-table.ts";

/** A value that must be text, and its description for messages. */
interface TextField {
  readonly value: unknown;
  readonly key: string;
  /** What the value belongs to, 'question "q2"'; a row of a table needs none. */
  readonly subject?: string;
  readonly location: () => string;
}

/**
 * The text of a field, unchanged. Throws E_FILE when it is missing, not a string, or has an
 * unpaired surrogate.
 */
export function textOf({ value, key, subject, location }: TextField): string {
  const about = subject === undefined ? "" : `${subject}: `;
  if (value === undefined) throw errors.file(location(), `${subject ?? "the row"} lacks "${key}"`);
  if (typeof value !== "string") {
    throw errors.file(location(), `${about}"${key}" is ${typeOf(value)}, not a string`);
  }
  if (!value.isWellFormed()) {
    throw errors.file(location(), `${about}"${key}" has an unpaired surrogate: not valid text`);
  }
  return value;
}
