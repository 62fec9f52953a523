/**
 * Brings the tables of docs/allocation.md up to date with runs. Exits with 1 if its text quotes
 * differences that they don't have; names arms that ran, but not at the rate picked for them:
 *
 *   bun examples/experiments/allocation/page.ts runs.jsonl docs/allocation.md
 *
 * The lines of a table after `<!-- table: NAME -->` are replaced, and what stands between
 * `<!-- counts -->` and `<!-- /counts -->`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { type PageParts, pagePartsOf, RANKS } from "./page-tables.ts";
import { finalsOf, onlyAtOtherRates } from "./rates.ts";
import { readRuns } from "./runs.ts";
import { allTables } from "./tables.ts";

/** The page with these tables and counts in the places that it marks. */
export function rewritten(page: string, { tables, counts }: PageParts): string {
  const names = [...page.matchAll(TABLE)].map(([, name = ""]) => name);
  const known = Object.keys(tables);
  if (names.toSorted().join() !== known.toSorted().join()) {
    throw new Error(`the page marks ${names.join(", ")}, and there is ${known.join(", ")}`);
  }
  return page
    .replace(TABLE, (_, name) => `<!-- table: ${name} -->\n${tables[name]}\n`)
    .replace(COUNTS, () => `<!-- counts -->${counts}<!-- /counts -->`);
}

/** The differences that the text of the page quotes and that neither its tables nor others have. */
export function unsupportedQuotes(page: string, otherTables: string): string[] {
  const text = page.replace(TABLE, "").replace(/\s+/g, " ");
  const ownTables = (page.match(TABLE) ?? []).join("").replaceAll("**", "");
  const known = ownTables + otherTables;
  return (text.match(QUOTE) ?? []).filter((quote) => !known.includes(quote));
}

// --- internal ---

const TABLE = /<!-- table: (\w+) -->\n(?:\|.*\n)*/g;
const COUNTS = /<!-- counts -->[^]*?<!-- \/counts -->/;

/** "+0.62 [+0.08, +1.20] 14-0-6", or without the wins. */
const QUOTE = /[+−]\d+\.\d+ \[[+−]\d+\.\d+, [+−]\d+\.\d+\](?: \d+-\d+-\d+)?/g;

if (import.meta.main) {
  const [runsPath, pagePath] = process.argv.slice(2);
  if (runsPath === undefined || pagePath === undefined) {
    throw new Error("usage: page.ts RUNS.jsonl PAGE.md");
  }
  const runs = readRuns(runsPath);
  const page = rewritten(readFileSync(pagePath, "utf8"), pagePartsOf(runs));
  writeFileSync(pagePath, page);
  for (const quote of unsupportedQuotes(page, allTables(runs, ["sst2", "stsb"]))) {
    process.stderr.write(`${pagePath}: no table has ${quote}\n`);
    process.exitCode = 1;
  }
  const finals = RANKS.flatMap((rank) => finalsOf(rank, runs));
  const left = onlyAtOtherRates(finals).map(
    ({ task, rank, arm }) => `${task}, rank ${rank}: ${arm}`,
  );
  for (const run of new Set(left)) {
    process.stderr.write(`${run} has no runs at the picked rate\n`);
  }
}
