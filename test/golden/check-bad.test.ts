import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BadCase, checkCase } from "./check-bad.ts";

const folder = join(import.meta.dir, "../fixtures/data/bad");
const cases: BadCase[] = JSON.parse(readFileSync(join(folder, "index.json"), "utf8"));

describe("bad files end as their index says", () => {
  for (const entry of cases) {
    test(`${entry.file}: ${entry.expect}`, async () => {
      expect(await checkCase(folder, entry)).toEqual({
        file: entry.file,
        status: "pass",
        worst: {},
      });
    });
  }
});

describe("the checker fails on", () => {
  const named = (file: string) => {
    const entry = cases.find((known) => known.file === file);
    if (entry === undefined) throw new Error(`no case ${file}`);
    return entry;
  };
  const wrong: Record<string, [BadCase, string]> = {
    "another line": [{ ...named("rte-short-row.tsv"), line: 4 }, "lacks rte-short-row.tsv:4:"],
    "a word that only the file's name holds": [
      { ...named("rte-short-row.tsv"), mentions: ["short"] },
      "lacks short",
    ],
    "an error that should be none": [
      { ...named("sst2-empty.tsv"), expect: "ok" },
      "is an error, not ok",
    ],
    "a file that loads": [
      { ...named("sst2-bom.tsv"), expect: "error" },
      "loads 1 rows, not an error",
    ],
    "a warning that does not come": [{ ...named("sst2-bom.tsv"), expect: "warn" }, "no warning"],
    "an unexpected warning": [
      { ...named("sst2-blank-lines.tsv"), expect: "ok", strength: "must" },
      "warns: ",
    ],
    "other answers": [
      { ...named("squad-codepoint-offsets.json"), answers: [["Ada", 5]] },
      'answers are [["Ada",3]], not [["Ada",5]]',
    ],
    "other rows": [
      { ...named("sst2-bom.tsv"), rows: [["good", 0]], strength: "should" },
      "rows are",
    ],
  };
  for (const [what, [entry, reason]] of Object.entries(wrong)) {
    test(what, async () => {
      const verdict = await checkCase(folder, entry);
      expect(verdict.status).toBe("fail");
      expect(verdict.reason).toContain(reason);
    });
  }

  test("a matter of taste passes with a note, a loader that is not built is skipped", async () => {
    const taste = await checkCase(folder, { ...named("sst2-commas.tsv"), line: 9 });
    expect([taste.status, taste.reason?.slice(0, 8)]).toEqual(["pass", "should: "]);
    const unknown = await checkCase(folder, { ...named("sst2-bom.tsv"), loader: "audio-wav" });
    expect(unknown.status).toBe("skip");
  });
});
