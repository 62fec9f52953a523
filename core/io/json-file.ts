import { errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { isNestedDeeper } from "./json-scan.ts";
import { readRegular } from "./regular-file.ts";

/** A parsed JSON object whose values are not checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a value is an object, and neither null nor an array. */
export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Decodes UTF-8 strictly and keeps a byte order mark; errors name `where`. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw errors.file(where, "is not UTF-8 text", undefined, cause);
  }
}

// Far more than any file of this program; code that walks a parsed value may recurse this deep.
const MAX_DEPTH = 256;

/** Parses text that must be a single JSON object; errors name `where`. */
export function parseJsonObject(text: string, where: string): JsonObject {
  if (isNestedDeeper(text, MAX_DEPTH)) {
    throw errors.file(where, `is nested deeper than ${MAX_DEPTH} levels`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw errors.file(where, `is not JSON: ${cutText(detail, 200)}`, undefined, cause);
  }
  if (isJsonObject(value)) return value;
  throw errors.file(where, `must be a JSON object, got ${excerpt(value)}`);
}

/** Reads a file that must be a single JSON object. */
export function readJsonObject(path: string): JsonObject {
  return parseJsonObject(decodeUtf8(readRegular(path), path), path);
}
