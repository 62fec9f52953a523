import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { armsPage } from "../../../cli/report-page/arms-page.ts";
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
  expect(rowOf(page, "lora", 1)).toEqual(["4", "1,284", "416", "22 s", "1.0 GiB"]);
  expect(page).toContain("1 run failed");
  expect(page).toContain("Failed: lora, seed 4: &lt;b&gt;out of memory&lt;/b&gt;");
});

test("names of arms are text, in tables, charts and settings", () => {
  const page = armsPage(comparedRuns(["</script><img src=x>", "\u0085"], scratch));
  expect(page).not.toContain("<img");
  expect(page).not.toContain("\u0085");
});

test("the curves of an arm are means over its seeds", () => {
  const report = comparedRuns(["lora", "adalora"], scratch);
  const { log, result, name } = meanRun("arm", report.arms[1]!.runs);
  expect([name, result?.best]).toEqual(["arm", null]);
  expect(log.curves.task_loss.values[4]).toBeCloseTo(lossAt(5), 12);
  const [first] = log.evaluations;
  const gain = seeds.reduce((sum, seed) => sum + scoreOf(1, seed) - 0.75, 0) / 3;
  expect(first?.metrics["accuracy"]).toBeCloseTo(accuracyAt(first!.step, 40) + gain, 10);
});

test("an arm's settings are those of all its runs: every seed, the largest peak, the arm's folder", () => {
  const { runs } = comparedRuns(["lora"], scratch).arms[0]!;
  const several = runs.map((run, i) => ({
    ...run,
    config: { ...run.config, seed: i + 1, lr: 0.1 },
    result: run.result && { ...run.result, peakMemory: { process: 100 + i, buffers: 1 } },
  }));
  const { config, result, folder } = meanRun("arm", several);
  expect([config["seed"], config["lr"], result?.peakMemory.process]).toEqual(["1, 2, 3", 0.1, 102]);
  expect(folder).toBe(join(scratch, "arm-0"));
  expect(meanRun("arm", several.slice(0, 1)).config["seed"]).toBe(1);
});

test("more than eight arms get a panel each, and a row each of the settings that differ", () => {
  const report = comparedRuns(["lora", "adalora"], scratch);
  const arms = (count: number) =>
    Array.from({ length: count }, (_, i) => {
      const runs = report.arms[0]!.runs.map((run) => ({
        ...run,
        config: { ...run.config, lr: i / 100 },
      }));
      return { name: `arm ${i}`, runs };
    });
  const specsOf = (count: number) => {
    const page = armsPage({ ...report, arms: arms(count) });
    const [, data = ""] = /id="report-data">([^]*?)<\/script>/.exec(page) ?? [];
    return { page, specs: JSON.parse(data).specs };
  };
  const few = specsOf(8).specs["task-loss"];
  expect(few.facet).toBeUndefined();
  expect(few.encoding.color.legend).toEqual({
    title: null,
    columns: { expr: "max(1, floor((chartWidth - 20) / 62.5))" },
    symbolOpacity: 1,
  });
  const { page, specs } = specsOf(10);
  for (const id of ["metric-accuracy", "task-loss", "lr"]) {
    expect(specs[id].facet.sort).toEqual(Array.from({ length: 10 }, (_, i) => `arm ${i}`));
    expect(specs[id].spec.layer[0].data).toEqual({ name: "all" });
    expect(new Set(specs[id].datasets.all.map(({ run }: { run: string }) => run)).size).toBe(10);
  }
  const [, differing = ""] = /Configuration: what differs([^]*?)<\/table>/.exec(page) ?? [];
  expect(differing.match(/<th scope="col"[^>]*>[^<]*/g)?.at(-1)).toEndWith(">lr");
  expect(differing).toMatch(/arm 9<\/th>\s*<td class="text">0.09</);
});

test("a page without finished runs has no link to them, and a lone arm no empty note", () => {
  const report = comparedRuns(["lora"], scratch);
  expect(report.tables[0]).not.toHaveProperty("note");
  expect(armsPage(report)).toContain('href="#runs"');
  expect(armsPage({ ...report, arms: [] })).not.toContain('href="#runs"');
});
