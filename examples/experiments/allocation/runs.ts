import { readFileSync } from "node:fs";
import { spreadOf } from "../../../cli/compare/statistics.ts";
import type { RunLine } from "./collect.ts";

/** The runs of a file of collect.ts, each once: comparisons share runs, and some were run again. */
export function readRuns(path: string): RunLine[] {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return withoutRepeats(lines.map((line) => JSON.parse(line)));
}

/**
 * The first of the runs with the same task, rank, arm, purpose, seed, rate and dtype. Throws if
 * another one of them has a different score: which one counts is not for a table to decide.
 */
export function withoutRepeats(runs: readonly RunLine[]): RunLine[] {
  const first = new Map<string, RunLine>();
  for (const run of runs) {
    const { task, rank, arm, isTuning, seed, lr, dtype, value } = run;
    const purpose = isTuning ? "tuning" : "final";
    const settings = `${task}, rank ${rank}, ${arm}, ${purpose}, seed ${seed}, ${lr}, ${dtype}`;
    const known = first.get(settings);
    if (known && known.value !== value) {
      throw new Error(`runs of ${settings} differ: ${known.value} and ${value}`);
    }
    if (!known) first.set(settings, run);
  }
  return [...first.values()];
}

/** The tasks of runs, in their order. */
export const tasksIn = (runs: readonly RunLine[]) => [...new Set(runs.map(({ task }) => task))];

/** "87.28 ± 0.06 (5)": mean and standard deviation of the metric in points, and the count. */
export function scoreText(runs: readonly RunLine[]): string {
  const { mean, std } = spreadOf(runs.map(({ value }) => 100 * value));
  const spread = std === null ? "" : ` ± ${std.toFixed(2)}`;
  return `${mean.toFixed(2)}${spread} (${runs.length})`;
}
