import { join } from "node:path";
import { compareArms } from "../../../cli/compare/comparison.ts";
import { comparisonReport } from "../../../cli/compare/comparison-report.ts";
import type { ArmsReport } from "../../../cli/report-page/arms-page.ts";
import { writeRun } from "./written-run.ts";

/** Seeds of every arm. */
export const seeds = [1, 2, 3];

/** The score of an arm's run: arms and seeds differ. */
export const scoreOf = (arm: number, seed: number) => 0.75 + arm / 100 + (seed % 2) / 50;

/** The report of arms of these names, whose runs are written into a folder. */
export function comparedRuns(names: readonly string[], folder: string): ArmsReport {
  const out = (arm: number, seed: number) => join(folder, `arm-${arm}`, `seed-${seed}`);
  const arms = names.map((name, arm) => {
    for (const seed of seeds) writeRun(out(arm, seed), { better: scoreOf(arm, seed) - 0.75 });
    const runs = seeds.map((seed) => ({
      seed,
      value: scoreOf(arm, seed),
      parameters: 416,
      seconds: 20 + seed,
      memory: 2 ** 30,
    }));
    const sizes = { startParameters: 1284, scale: 4, isCut: false, hasOtherSize: false };
    return { name, about: `about ${name}`, lr: 0.001, tried: [], ...sizes, runs };
  });
  const subject = { task: "rte", metric: "accuracy", isHigherBetter: true, rank: 1, matrices: 12 };
  const failures = [{ run: `${names[0]}, seed 4`, error: "<b>out of memory</b>" }];
  const comparison = compareArms({ ...subject, seeds }, arms, failures);
  return comparisonReport(comparison, ({ name, runs }) =>
    runs.map(({ seed }) => out(names.indexOf(name), seed)),
  );
}
