import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearComparison } from "../../cli/compare/run-comparison.ts";
import { clearSweep } from "../../cli/sweep/run-sweep.ts";

test.each([
  ["a sweep", clearSweep, "sweep.json"],
  ["a comparison", clearComparison, "compare.json"],
] as const)("--overwrite of %s removes its results with its runs", (_, clear, result) => {
  const out = mkdtempSync(join(tmpdir(), "adalora-overwrite-"));
  const run = join(out, "lr-1", "run");
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, "metrics.json"), "{}");
  for (const name of [result, "costs.json", "report.html", "notes"]) {
    writeFileSync(join(out, name), "");
  }
  clear([run], out);
  expect(readdirSync(out).toSorted()).toEqual(["lr-1", "notes"]);
  expect(existsSync(join(run, "metrics.json"))).toBe(false);
  clear([run], join(out, "none")); // nothing is there
  rmSync(out, { recursive: true });
});
