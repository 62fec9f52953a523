import { readFileSync } from "node:fs";
import { spreadOf } from "../../../cli/compare/statistics.ts";
import type { RunLine } from "./collect.ts";

/**
 * The runs of a file of collect.ts, each once: comparisons share runs, and what was run again has
 * the same settings and counts as one.
 */
export function readRuns(path: string): RunLine[] {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return withoutRepeats(lines.map((line) => JSON.parse(line)));
}

/** The first of the runs with the same task, rank, arm, purpose, seed, rate and dtype. */
export function withoutRepeats(runs: readonly RunLine[]): RunLine[] {
  const first = new Map<string, RunLine>();
  for (const run of runs) {
    const { task, rank, arm, isTuning, seed, lr, dtype } = run;
    const settings = [task, rank, arm, isTuning, seed, lr, dtype].join(" ");
    if (!first.has(settings)) first.set(settings, run);
  }
  return [...first.values()];
}

/** The tasks of runs, in their order. */
export const tasksIn = (runs: readonly RunLine[]) => [...new Set(runs.map(({ task }) => task))];

/** "87.28 ± 0.06 (5)": mean and standard deviation of the metric in points, and the count. */
export function scoreText(runs: readonly RunLine[]): string {
  const { mean, std } = spreadOf(runs.map(({ value }) => 100 * value));
  return `${mean.toFixed(2)} ± ${std.toFixed(2)} (${runs.length})`;
}
