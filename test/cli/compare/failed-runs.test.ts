import { expect, test } from "bun:test";
import type { RunConfig } from "../../../core/config/run-config.ts";
import { failedRuns, type Job } from "../../../cli/compare/run-jobs.ts";

test("failed runs are in the jobs' order, whichever failed first", () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing reads the settings
  const config = {} as RunConfig;
  const jobs = ["a", "b", "c"].map((label): Job => ({ label, config, out: label }));
  const [first, , last] = jobs;
  const failures = new Map([
    [last!, "late in the list"],
    [first!, "early in the list"],
  ]);
  expect(failedRuns(jobs, failures)).toEqual([
    { run: "a", error: "early in the list" },
    { run: "c", error: "late in the list" },
  ]);
});
