import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checkExperimentOut } from "../../../cli/compare/experiment-folder.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-experiment-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Checks a folder with these files for a comparison. */
function checking(files: readonly string[], flag?: "resume" | "overwrite") {
  const out = mkdtempSync(join(scratch, "out-"));
  for (const file of files) {
    mkdirSync(dirname(join(out, file)), { recursive: true });
    writeFileSync(join(out, file), "{}");
  }
  const options = { resume: flag === "resume", overwrite: flag === "overwrite" };
  return () => checkExperimentOut(out, "comparison", options);
}

test.each([
  ["a run", ["config.json", "report.html"], "already holds a run"],
  ["several seeds", ["seeds.json", "seed-2/config.json"], "already holds a run of several seeds"],
  ["a sweep", ["sweep.json", "report.html"], "already holds a sweep"],
] as const)("a comparison never replaces the report of %s", (_, files, message) => {
  for (const flag of [undefined, "resume", "overwrite"] as const) {
    expect(checking(files, flag)).toThrow(message);
  }
});

test("a comparison continues or replaces another one on request only", () => {
  const files = ["compare.json", "costs.json", "report.html", "lora/seed-1/config.json"];
  expect(checking(files)).toThrow("already holds a comparison");
  expect(checking(files, "resume")).not.toThrow();
  expect(checking(files, "overwrite")).not.toThrow();
  expect(checking(["lora/seed-1/config.json", "notes.txt"])).not.toThrow();
});

test("a path that is a file is refused as one", () => {
  const file = join(scratch, "file");
  writeFileSync(file, "");
  for (const path of [file, join(file, "below")]) {
    const check = () => checkExperimentOut(path, "comparison", { resume: true, overwrite: false });
    expect(check).toThrow(path === file ? "is a file, not a folder" : "lies below a file");
  }
});
