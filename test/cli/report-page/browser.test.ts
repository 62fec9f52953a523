import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";
import { type Browser, launch, type Page } from "puppeteer-core";
import { reportPage } from "../../../cli/report-page/page.ts";
import { readRun } from "../../../cli/report-page/read-run.ts";
import { writeArmsReport } from "../../../cli/report-page/write-report.ts";
import { comparedRuns } from "./compared-runs.ts";
import { matrices, writeRun } from "./written-run.ts";

/** Debian's name and others'. */
const chromium = ["chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name))
  .find((path) => path !== null);
if (chromium === undefined)
  console.warn("skipped: no Chromium on this machine (apt-get install chromium)");

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Serious violations in the page, once axe is loaded. */
const SERIOUS = `axe.run(document).then(({ violations }) =>
  violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => [id, nodes[0].html.slice(0, 120)]))`;
const scratch = mkdtempSync(join(tmpdir(), "adalora-browser-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.skipIf(chromium === undefined)("the report in Chromium (skipped without one)", () => {
  let browser: Browser;
  let page: Page;
  /** What the browser said and asked for. */
  const said: string[] = [];
  const requests: string[] = [];

  const open = async (scheme: "light" | "dark", width: number, names: readonly string[]) => {
    const file = join(scratch, "report.html");
    writeFileSync(file, reportPage(names.map((name) => readRun(join(scratch, name)))));
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto(`file://${file}`);
    await page.waitForSelector("html[data-charts=drawn]", { timeout: 60_000 });
    requests.splice(0, requests.length, ...requests.filter((url) => url !== `file://${file}`));
  };

  beforeAll(async () => {
    writeRun(join(scratch, "one"));
    writeRun(join(scratch, "hostile"), {
      config: {
        task: "<img src=x onerror=alert(1)>",
        data: "</script><script>alert(1)</script>\u2028",
      },
      labels: ["<svg onload=alert(1)>", "\u0085"],
    });
    const args = ["--no-sandbox", "--disable-gpu"];
    browser = await launch({ executablePath: chromium!, args, timeout: 120_000 });
    page = await browser.newPage();
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    page.on("dialog", (dialog) => {
      said.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => requests.push(request.url()));
  }, 180_000);

  afterAll(() => browser?.close());

  /** Ranks that the heat map shows, in the order of its cells. */
  const shownRanks = () =>
    page.$$eval("#chart-ranks .role-mark text", (texts) =>
      texts.map((one) => Number(one.textContent)),
    );

  test("draws every chart without an error or a request", async () => {
    await open("light", 1200, ["one", "hostile"]);
    const places = await page.$$eval(".chart", (all) =>
      all.map((one) => one.querySelectorAll("svg").length),
    );
    expect(places.length).toBeGreaterThan(8);
    expect(new Set(places)).toEqual(new Set([1]));
    expect([said, requests]).toEqual([[], []]);
  }, 120_000);

  test("moves the heat map with the slider's keys", async () => {
    await open("light", 1200, ["one"]);
    expect(await shownRanks()).toEqual([2, 3, 3, 3]);
    await page.focus("#mask");
    await page.keyboard.press("Home");
    expect(await page.$eval("#mask", (one) => one.getAttribute("aria-valuetext"))).toBe(
      "before training, 12 ranks",
    );
    await Bun.sleep(300);
    expect(await shownRanks()).toEqual(matrices.map(() => 3));
    await page.keyboard.press("ArrowRight");
    await Bun.sleep(300);
    expect(await shownRanks()).toEqual([2, 3, 3, 2]);
    expect(await page.$eval("#mask-step", (one) => one.textContent)).toBe("step 12, 10 ranks");
  }, 120_000);

  test.each([
    ["light", 1200],
    ["dark", 1200],
    ["light", 360],
  ] as const)(
    "has no serious accessibility violation in %s, %i pixels wide",
    async (scheme, width) => {
      await open(scheme, width, ["one", "hostile"]);
      await page.evaluate(axe);
      expect(await page.evaluate(SERIOUS)).toEqual([]);
      const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      expect(overflow).toBeLessThanOrEqual(0);
    },
    120_000,
  );

  test("draws all arms of a comparison, and has no serious accessibility violation", async () => {
    const file = join(scratch, "compared.html");
    const others = Array.from({ length: 7 }, (_, i) => `adalora:lr-e=0.0${i + 1}`);
    const names = ["lora", "<img src=x onerror=alert(1)>", ...others];
    writeArmsReport(comparedRuns(names, scratch), file);
    await page.setViewport({ width: 360, height: 900 });
    await page.goto(`file://${file}`, { timeout: 120_000 });
    await page.waitForSelector("html[data-charts=drawn]", { timeout: 60_000 });
    const drawn = await page.$$eval(".chart", (all) =>
      all.map((one) => [one.id, one.querySelectorAll("svg").length]),
    );
    expect(drawn.slice(0, 2)).toEqual([
      ["chart-scores", 1],
      ["chart-differences", 1],
    ]);
    expect(new Set(drawn.map(([, count]) => count))).toEqual(new Set([1]));
    const titles = await page.$$eval("#chart-task-loss text", (all) =>
      all.map((one) => one.textContent),
    );
    expect(titles).toEqual(expect.arrayContaining(others));
    // Panels are alike, and axe is slow to read them: those of the first charts suffice.
    await page.$$eval(".chart", (all) => all.slice(4).forEach((one) => one.replaceChildren()));
    await page.evaluate(axe);
    expect(await page.evaluate(SERIOUS)).toEqual([]);
    const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    expect(overflow).toBeLessThanOrEqual(0);
  }, 180_000);

  test("runs nothing of a hostile text", () => {
    expect(said).toEqual([]);
  });
});
