import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepReport } from "../../../cli/report-page/kept-report.ts";
import { writeRun } from "./written-run.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-kept-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("a report that cannot be written never throws, and is warned of once", () => {
  const warnings: string[] = [];
  const page = keepReport(
    scratch,
    1,
    (text) => warnings.push(text),
    () => {
      throw new Error("no space");
    },
  );
  page.evaluated();
  page.evaluated();
  page.ended();
  expect(warnings).toEqual(["the report is not written: no space"]);
});

test.each([
  [0, 0],
  [1, 5],
  [3, 2],
])("--report-every %i writes %i times in four evaluations and the end", (every, times) => {
  let written = 0;
  const page = keepReport(
    scratch,
    every,
    () => {},
    () => void written++,
  );
  for (let i = 0; i < 4; i++) page.evaluated();
  page.ended();
  expect(written).toBe(times);
});

test("reports take at most one percent of a long run's time, and the last one is always written", () => {
  let seconds = 0;
  let written = 0;
  const write = () => {
    seconds += 5;
    written++;
  };
  const page = keepReport(
    scratch,
    1,
    () => {},
    write,
    () => seconds,
  );
  for (let i = 0; i < 10_000; i++) {
    seconds += 1; // a step and an evaluation
    page.evaluated();
  }
  expect(written * 5).toBeLessThanOrEqual(0.011 * seconds);
  expect(written).toBeGreaterThan(15);
  const before = written;
  page.ended();
  expect(written).toBe(before + 1);
  let last = 0;
  const short = keepReport(
    scratch,
    1,
    () => {},
    () => void last++,
    () => 0,
  );
  short.evaluated();
  short.evaluated();
  expect(last).toBe(2); // what takes no time is never left out
});

test("is written into the run's folder, but never makes a folder that is gone", () => {
  const out = join(scratch, "run");
  writeRun(out);
  const warnings: string[] = [];
  const page = keepReport(out, 1, (text) => warnings.push(text));
  page.evaluated();
  expect(existsSync(join(out, "report.html"))).toBe(true);
  rmSync(out, { recursive: true });
  page.ended();
  expect([existsSync(out), warnings]).toEqual([false, []]);
});
