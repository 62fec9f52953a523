import { readFileSync } from "node:fs";
import { type JsonObject, parseJsonObject } from "../../core/io/json-file.ts";

/** The records of a JSON log; a torn last line, as a killed writer leaves it, is skipped. */
export function readJsonLog(path: string): JsonObject[] {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line, i) => parseJsonObject(line, `${path}:${i + 1}`));
}
