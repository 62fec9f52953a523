import { readRegular } from "./regular-file.ts";
import { decodeUtf8, type JsonObject, parseJsonObject } from "./json-file.ts";

/**
 * The text of a file's JSON object with some of its fields set. Numbers stay as they are spelled:
 * transformers 5 refuses 0 where a field must be a float and its file has 0.0.
 */
export function editedJson(path: string, fields: JsonObject): string {
  const text = decodeUtf8(readRegular(path), path);
  parseJsonObject(text, path);
  const spelled = JSON.parse(text, (_, value, { source }) =>
    typeof value === "number" && source !== undefined ? JSON.rawJSON(source) : value,
  );
  return `${JSON.stringify(Object.assign({}, spelled, fields), null, 2)}\n`;
}

// --- internal ---

declare global {
  // TypeScript's library lacks JSON.rawJSON and the source of each parsed value.
  interface JSON {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
  }
}
