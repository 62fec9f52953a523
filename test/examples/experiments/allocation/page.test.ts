import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pagePartsOf } from "../../../../examples/experiments/allocation/page-tables.ts";
import { rewritten, unsupportedQuotes } from "../../../../examples/experiments/allocation/page.ts";
import { readRuns } from "../../../../examples/experiments/allocation/runs.ts";
import { allTables } from "../../../../examples/experiments/allocation/tables.ts";

const root = join(import.meta.dir, "../../../..");
const results = join(root, "bench/results/allocation");
const page = readFileSync(join(root, "docs/allocation.md"), "utf8");
const tables = readFileSync(join(results, "tables.md"), "utf8");
const runs = readRuns(join(results, "runs.jsonl"));

// To renew both files: see bench/results/allocation/README.md.
describe("docs/allocation.md", () => {
  test("its tables and counts are those of the runs", () => {
    expect(rewritten(page, pagePartsOf(runs))).toBe(page);
  });

  test("every difference that its text quotes is in a table", () => {
    expect(unsupportedQuotes(page, tables)).toEqual([]);
  });

  test("tables.md has the tables of the runs", () => {
    expect(allTables(runs, ["sst2", "stsb"])).toBe(tables);
  });
});

describe("a page", () => {
  const parts = {
    tables: { one: "| a |\n|---|\n| **+1.00 [+0.50, +1.50]** 3-0-0 |" },
    counts: "7",
  };

  test("keeps its text while the tables and counts after its markers are replaced", () => {
    const old = "# A\n<!-- table: one -->\n| b |\n|---|\n\nb <!-- counts -->6<!-- /counts --> c\n";
    expect(rewritten(old, parts)).toBe(
      `# A\n<!-- table: one -->\n${parts.tables.one}\n\nb <!-- counts -->7<!-- /counts --> c\n`,
    );
  });

  test("with other markers than the tables that there are is refused", () => {
    expect(() => rewritten("<!-- table: two -->\n", parts)).toThrow(
      "the page marks two, and there is one",
    );
  });

  test("may quote a difference of its tables or of others, across a line break too", () => {
    const own = rewritten("<!-- table: one -->\n", parts);
    const text = "+1.00\n[+0.50, +1.50] 3-0-0 and +2.00 [+1.50, +2.50]";
    expect(unsupportedQuotes(own + text, "| +2.00 [+1.50, +2.50] 3-0-0 |")).toEqual([]);
    expect(unsupportedQuotes(own + text, "")).toEqual(["+2.00 [+1.50, +2.50]"]);
    expect(unsupportedQuotes(`${own}+1.00 [+0.50, +1.50] 2-0-1`, "")).toEqual([
      "+1.00 [+0.50, +1.50] 2-0-1",
    ]);
  });
});
