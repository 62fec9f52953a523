import { padToWidth } from "./text-width.ts";

/** Lines of a table: the first column flush left, the others, which are numbers, flush right. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => Bun.stringWidth(row[i] ?? ""))),
  );
  return rows.map((row) =>
    row
      .map((cell, i) =>
        i === 0 ? padToWidth(cell, widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
