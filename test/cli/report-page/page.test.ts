import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reportPage } from "../../../cli/report-page/page.ts";
import { pageScript } from "../../../cli/report-page/page-script.ts";
import { rankFrames } from "../../../cli/report-page/rank-frames.ts";
import { readLog } from "../../../cli/report-page/read-log.ts";
import { readRun, runFolders } from "../../../cli/report-page/read-run.ts";
import { writeSvgFiles } from "../../../cli/report-page/svg-files.ts";
import { adaloraProcess } from "../../helpers/adalora-process.ts";
import { accuracyAt, lossAt, writeRun } from "./written-run.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-report-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const folder = (name: string) => join(scratch, name);
const pageOf = (...names: string[]) => reportPage(names.map((name) => readRun(folder(name))));

/** What the page's script draws. */
// oxlint-disable-next-line typescript/no-explicit-any -- Vega-Lite's specifications
function dataOf(page: string): { specs: Record<string, any>; heatMaps: any[] } {
  const [, json = ""] =
    /<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(page) ?? [];
  return JSON.parse(json);
}

/** The page's texts and tags, without its scripts and styles. */
const markupOf = (page: string) => page.replaceAll(/<(script|style)\b.*?<\/\1>/gs, "");

/** The texts of a table's row that begins with a heading. */
function rowOf(page: string, heading: string): string[] {
  const rows = Array.from(markupOf(page).matchAll(/<tr.*?<\/tr>/gs), ([row]) =>
    Array.from(row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs), ([, cell = ""]) =>
      cell
        .replaceAll(/<[^>]*>/g, " ")
        .replaceAll(/\s+/g, " ")
        .trim(),
    ),
  );
  return rows.find(([first]) => first === heading) ?? [];
}

describe("the page of a finished run", () => {
  writeRun(folder("one"));
  const page = pageOf("one");
  const { specs, heatMaps } = dataOf(page);

  test("draws the log's numbers", () => {
    const drawn = specs["task-loss"].data.values;
    expect(drawn).toHaveLength(40);
    for (const { step, low, high, mean } of drawn)
      expect([low, high, mean]).toEqual([lossAt(step), lossAt(step), lossAt(step)]);
    expect(specs["metric-accuracy"].data.values).toMatchObject(
      [10, 20, 30, 40].map((step) => ({ step, value: accuracyAt(step, 40), isBest: step === 40 })),
    );
  });

  test("has metrics.json's numbers", () => {
    expect(rowOf(page, "validation accuracy")).toEqual([
      "validation accuracy",
      "0.75",
      "0.75",
      "0.5",
    ]);
    expect(rowOf(page, "yes")).toEqual(["yes", "3", "5", "0.75", "0.5", "0.6", "8"]);
    const seconds = specs["time"].data.values.map((one: { seconds: number }) => one.seconds);
    expect(seconds).toEqual([10, 70, 20]);
  });

  test("marks the budget's phases", () => {
    const [{ data }] = specs["budget"].layer;
    expect(data.values).toMatchObject([
      { name: "warm-up", from: 0, to: 10 },
      { name: "budgeting", from: 10, to: 30 },
      { name: "final tuning", from: 30, to: 40 },
    ]);
  });

  test("has the ranks after every mask", () => {
    const frames = heatMaps[0].frames;
    expect(frames.map((one: { step: number }) => one.step)).toEqual([0, 12, 20, 28]);
    expect(frames.map((one: { ranks: number[] }) => one.ranks)).toEqual([
      [3, 3, 3, 3],
      [2, 3, 3, 2],
      [3, 3, 3, 2],
      [2, 3, 3, 3],
    ]);
    expect(frames[1].largest).toEqual([3, 3, 3, 2]);
  });

  test("loads nothing, and its policy allows nothing to be loaded", () => {
    expect(page.includes("default-src &#39;none&#39;")).toBe(true);
    expect(markupOf(page).match(/(?:src|href)="(?!#|data:,)[^"]*"/g)).toBeNull();
    expect(page.match(/@import|url\(http/)).toBeNull();
  });

  test("is written as SVG files too, whose colours need no style sheet", async () => {
    const files = await writeSvgFiles([readRun(folder("one"))], folder("svg"));
    expect(readdirSync(folder("svg"))).toHaveLength(files.length);
    expect(files.length).toBe(Object.keys(specs).length);
    for (const file of files) {
      const svg = readFileSync(file, "utf8");
      expect(svg).toStartWith("<svg ");
      expect(svg).not.toContain("var(");
    }
  }, 120_000);
});

describe("a run that is not finished", () => {
  test("is shown as far as its log goes; a torn line is skipped", () => {
    writeRun(folder("killed"), {
      steps: 25,
      planned: 40,
      isFinished: false,
      torn: '{"step":26,"ta',
    });
    const page = pageOf("killed");
    expect(page.includes("not finished: at step 25 of 40")).toBe(true);
    expect(rowOf(page, "validation accuracy")[1]).toBe(String(accuracyAt(25, 25)));
    expect(dataOf(page).specs["task-loss"].data.values).toHaveLength(25);
  });

  test("may have no record at all", () => {
    writeRun(folder("empty"), { steps: 0, planned: 40, isFinished: false });
    expect(pageOf("empty").includes("No evaluation yet.")).toBe(true);
  });

  test("may be of an earlier version, whose log lacks the first record", () => {
    writeRun(folder("old"));
    const log = join(folder("old"), "log.jsonl");
    const lines = readFileSync(log, "utf8").split("\n").slice(1);
    const steps = lines.filter((line) => !line.includes('"mask"'));
    rmSync(log);
    writeFileSync(log, steps.join("\n"));
    expect(Object.keys(dataOf(pageOf("old")).specs)).toContain("task-loss");
  });
});

describe("several runs", () => {
  const seeds = [1, 2, 3];
  for (const seed of seeds)
    writeRun(folder(`seeds/seed-${seed}`), { config: { seed }, better: seed / 100 });
  const names = seeds.map((seed) => `seeds/seed-${seed}`);

  test("that differ in their seed have mean and deviation", () => {
    const cells = rowOf(pageOf(...names), "validation accuracy");
    expect(cells).toEqual(["validation accuracy", "0.76", "0.77", "0.78", "0.77 ± 0.01", "0.5"]);
    expect(runFolders(folder("seeds"))).toEqual(names.map(folder));
  });

  test("that differ in more have their settings compared", () => {
    writeRun(folder("lora"), { config: { method: "lora", seed: 2 } });
    const page = pageOf("one", "lora");
    expect(rowOf(page, "method differs")).toEqual(["method differs", "adalora", "lora"]);
    expect(rowOf(page, "model")).toEqual(["model", "a-model", "a-model"]);
    expect(page.includes("mean ± std")).toBe(false);
    const drawn = dataOf(page).specs["task-loss"].data.values;
    expect(new Set(drawn.map((one: { run: string }) => one.run))).toEqual(new Set(["one", "lora"]));
  });
});

test("hostile texts are shown as text", () => {
  const hostile = `</script><img src=x onerror="alert(1)">'&\u2028\u0085\u202e`;
  const shown = `\\u2028\\u0085\\u202e`;
  const name = "</style><b onclick=x>";
  writeRun(join(scratch, name.replace("/", "∕")), {
    config: { model: hostile, data: hostile, task: hostile },
    labels: [hostile, "<b>"],
  });
  const run = readRun(join(scratch, name.replace("/", "∕")));
  const head = { ...run.log.head, matrices: [[hostile, hostile, hostile, hostile, 3]] };
  const page = reportPage([{ ...run, log: { ...run.log, head } }]);
  expect(markupOf(page)).not.toMatch(/<img|<b[ >]/);
  expect(markupOf(page)).toContain(
    `&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&#39;&amp;${shown}`,
  );
  expect(page.match(/[\u2028\u0085\u202e]/)).toBeNull();
  expect(dataOf(page).heatMaps[0].cells[0].module).toEndWith(shown);
});

test("ranks of a log that names too many triplets take no more memory than the log", () => {
  const head = { matrices: [["a", "", "0", "m", 2 ** 40]] };
  const mask = {
    step: 1,
    kept: 1,
    pruned: [0, 2 ** 50],
    revived: [],
    singular: undefined,
    importance: undefined,
  };
  const { frames } = rankFrames({ head, masks: [mask] });
  expect(frames.map(({ ranks }) => ranks)).toEqual([[2 ** 40], [2 ** 40 - 1]]);
});

test("200,000 records give a page below 3 MB in less than 5 s and 500 MB", async () => {
  writeRun(folder("long"), { steps: 200_000 });
  const words = ["report", folder("long"), "--json"];
  const { out, code, peak, seconds } = await adaloraProcess(words, folder("peak"));
  expect([code, seconds < 5, peak < 500e6]).toEqual([0, true, true]);
  const { report } = JSON.parse(out);
  expect(statSync(report).size).toBeLessThan(3e6);
  const drawn = dataOf(readFileSync(report, "utf8")).specs["task-loss"].data.values;
  const { values } = readLog(join(folder("long"), "log.jsonl")).curves.task_loss;
  expect(drawn.length).toBeGreaterThan(400);
  expect(Math.max(...drawn.map((one: { high: number }) => one.high))).toBe(
    Math.max(...values.slice(0, 1e5), ...values.slice(1e5)),
  );
  expect(Math.min(...drawn.map((one: { low: number }) => one.low))).toBe(
    Math.min(...values.slice(0, 1e5), ...values.slice(1e5)),
  );
}, 120_000);

test("the page's script has no imports, and nothing that ends its element", () => {
  const script = pageScript();
  expect(script.match(/^\s*(import|export)\b/m)).toBeNull();
  expect(script.match(/<\/script|<!--/i)).toBeNull();
});
