import type { DataSplit } from "./examples.ts";

/** Rows given on the command line, as a split to predict: texts by column name. */
export function commandLineSplit(rows: readonly Readonly<Record<string, string>>[]): DataSplit {
  const lines = rows.map((row) => JSON.stringify(row)).join("\n");
  const source = { name: "the command line", bytes: new TextEncoder().encode(lines) };
  return { name: "input", role: "test", files: [source] };
}
