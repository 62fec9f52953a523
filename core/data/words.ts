import type { DataSplit } from "./examples.ts";

/** Rows that came as words of a command line, as a split to be predicted: columns by their names, each a text. */
export function commandLineSplit(rows: readonly Readonly<Record<string, string>>[]): DataSplit {
  const lines = rows.map((row) => JSON.stringify(row)).join("\n");
  const source = { name: "the command line", bytes: new TextEncoder().encode(lines) };
  return { name: "input", role: "test", files: [source] };
}
