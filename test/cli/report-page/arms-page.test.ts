import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { armsPage, MOST_DRAWN } from "../../../cli/report-page/arms-page.ts";
import { meanRun } from "../../../cli/report-page/mean-run.ts";
import { comparedRuns, scoreOf, seeds } from "./compared-runs.ts";
import { accuracyAt, lossAt } from "./written-run.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-arms-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The cells of a row, by its head. */
function rowOf(page: string, name: string, nth = 0): string[] {
  const rows = page.match(/<tr[^>]*>[^]*?<\/tr>/g) ?? [];
  const row = rows.filter((one) => one.includes(`<th scope="row">${name}`))[nth] ?? "";
  return Array.from(row.matchAll(/<td>([^<]*)<\/td>/g), ([, cell = ""]) => cell);
}

test("a comparison's page has each arm's numbers, the difference from the first, and failures", () => {
  const page = armsPage(comparedRuns(["lora", "adalora"], scratch));
  const mean = (arm: number) => seeds.reduce((sum, seed) => sum + scoreOf(arm, seed), 0) / 3;
  const scores = rowOf(page, "adalora");
  expect(scores[0]).toStartWith(mean(1).toFixed(4));
  expect(scores.slice(2)).toEqual(["+0.0100 [+0.0100, +0.0100]", "3-0-0"]);
  expect(rowOf(page, "lora")[0]).toStartWith(mean(0).toFixed(4));
  expect(rowOf(page, "lora", 1)).toEqual(["1,284", "416", "22 s", "1.0 GiB"]);
  expect(page).toContain("1 run failed");
  expect(page).toContain("Failed: lora, seed 4: &lt;b&gt;out of memory&lt;/b&gt;");
});

test("names of arms are text, in tables, charts and settings", () => {
  const page = armsPage(comparedRuns(["</script><img src=x>", "\u0085"], scratch));
  expect(page).not.toContain("<img");
  expect(page).not.toContain("\u0085");
});

test("the curves of an arm are means over its seeds; the first eight arms are drawn", () => {
  const report = comparedRuns(["lora", "adalora"], scratch);
  const { log, result, name } = meanRun("arm", report.arms[1]!.runs);
  expect([name, result?.best]).toEqual(["arm", null]);
  expect(log.curves.task_loss.values[4]).toBeCloseTo(lossAt(5), 12);
  const [first] = log.evaluations;
  const gain = seeds.reduce((sum, seed) => sum + scoreOf(1, seed) - 0.75, 0) / 3;
  expect(first?.metrics["accuracy"]).toBeCloseTo(accuracyAt(first!.step, 40) + gain, 10);
  const many = Array.from({ length: 10 }, (_, i) => ({ ...report.arms[0]!, name: `arm ${i}` }));
  const page = armsPage({ ...report, arms: many });
  expect([page.includes(`arm ${MOST_DRAWN - 1}`), page.includes(`arm ${MOST_DRAWN}`)]).toEqual([
    true,
    false,
  ]);
});

test("a page without finished runs has no link to them, and a lone arm no empty note", () => {
  const report = comparedRuns(["lora"], scratch);
  expect(report.tables[0]).not.toHaveProperty("note");
  expect(armsPage(report)).toContain('href="#runs"');
  expect(armsPage({ ...report, arms: [] })).not.toContain('href="#runs"');
});
