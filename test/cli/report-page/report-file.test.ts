import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkReportFile } from "../../../cli/report-page/report-file.ts";
import { writeReport } from "../../../cli/report-page/write-report.ts";

const home = mkdtempSync(join(tmpdir(), "adalora-report-file-"));
afterAll(() => rmSync(home, { recursive: true }));

test("a report replaces an earlier one, and nothing else", () => {
  const file = join(home, "report.html");
  expect(() => checkReportFile(file)).not.toThrow();
  writeReport([], file);
  expect(() => checkReportFile(file)).not.toThrow();
  const data = join(home, "dev.csv");
  writeFileSync(data, "text,label\n");
  expect(() => checkReportFile(data)).toThrow(`${data} already exists and is no report`);
  expect(readFileSync(data, "utf8")).toBe("text,label\n");
  expect(() => checkReportFile(home)).toThrow(`${home} is a folder`);
  expect(() => checkReportFile(join(data, "x.html"))).toThrow("is a file");
});
