import { errors } from "../core/errors.ts";
import { type Carried, carried, carriedLicences } from "../ffi/contents.ts";
import packageJson from "../package.json" with { type: "json" };
import { nearest } from "../core/nearest.ts";
import type { Report } from "./report.ts";

const FLAGS = ["verbose", "licences", "json", "quiet"];

const HELP = `adalora version: print the version

Usage: adalora version [--verbose | --licences] [--json]

  --verbose   what the executable carries: name, version, licence and hash
  --licences  the licences of all that
  --json      print JSON`;

/**
 * `adalora version`: the version alone; with --verbose what the executable carries, with --licences
 * its licences. Throws E_FLAG for other words.
 */
export function showVersion(words: readonly string[], report: Report): void {
  if (words.some((word) => ["-h", "--help", "--help-all"].includes(word))) {
    report.page(HELP);
    return;
  }
  for (const word of words) {
    const name = word.replace(/^--/, "");
    if (!word.startsWith("-")) throw errors.argument(word, "");
    if (word !== "-q" && !FLAGS.includes(name))
      throw errors.unknownFlag(name, nearest(name, FLAGS));
  }
  if (words.includes("--licences")) {
    report.page(carriedLicences() ?? notAnExecutable);
    return;
  }
  const { version } = packageJson;
  const parts = words.includes("--verbose") ? carried() : undefined;
  const list = parts === undefined ? notAnExecutable : contentsText(parts);
  const text = words.includes("--verbose") ? `${version}\n\n${list}` : version;
  if (words.includes("--json"))
    report.result({ version, ...(parts === undefined ? {} : { contents: parts }) }, text);
  else report.page(text);
}

// --- internal ---

const notAnExecutable =
  "This is no executable but its source, which carries no other software: packages are in node_modules.";

function contentsText(parts: readonly Carried[]): string {
  const rows = parts.map(({ name, version, licence, hash }) => [name, version, licence, hash]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .join("\n");
}
