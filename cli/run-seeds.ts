import { join } from "node:path";
import { meanAndDeviation } from "../core/metrics/mean-and-deviation.ts";
import type { RunResult } from "../core/run/results.ts";
import { writeJson } from "../core/run/run-files.ts";
import { seedFolder } from "../core/run/run-folder.ts";
import { metricLine } from "./metrics-text.ts";
import { checkOut, type OutOptions } from "./out-folder.ts";
import { printable } from "./printable.ts";
import type { ExitCode, Report } from "./report.ts";
import type { PlacedRun } from "./run-config.ts";
import { type Output, paint } from "./terminal.ts";
import { interrupted, type TrainedRun } from "./trained.ts";

/** Runs of one configuration that differ in their seed. */
interface SeedRuns {
  readonly config: PlacedRun;
  readonly seeds: readonly number[];
  readonly train: (config: PlacedRun) => Promise<TrainedRun>;
}

/**
 * Runs once per seed, in `out/seed-N`, then writes each metric's mean and standard deviation to
 * `out/seeds.json`. `again`: the command that resumes an interrupted one.
 */
export async function runSeeds(
  { config, seeds, train }: SeedRuns,
  outOptions: OutOptions,
  { again, report }: { readonly again: string; readonly report: Report },
): Promise<ExitCode> {
  const { out } = config;
  for (const seed of seeds) checkOut(seedFolder(out, seed), outOptions);
  const results: RunResult[] = [];
  for (const [index, seed] of seeds.entries()) {
    report.info(`seed ${seed}`);
    const trained = await train({ ...config, seed, out: seedFolder(out, seed) });
    const { result } = trained;
    const isLast = index === seeds.length - 1;
    if (result.stoppedBy === "interrupt" || (trained.stopCode !== undefined && !isLast)) {
      return interrupted(trained, again, report);
    }
    results.push(result);
  }
  reportSeeds(config, seeds, results, report);
  return 0;
}

/**
 * Writes each metric's mean and standard deviation over seeds to `out/seeds.json`, and reports them.
 * `results`: of each seed, in their order.
 */
export function reportSeeds(
  config: PlacedRun,
  seeds: readonly number[],
  results: readonly Pick<RunResult, "metrics">[],
  report: Report,
): void {
  const { out } = config;
  const values = new Map<string, number[]>();
  for (const result of results) {
    for (const [split, metrics] of Object.entries(result.metrics)) {
      for (const [name, value] of Object.entries(metrics)) {
        const key = `${split} ${name}`;
        values.set(key, [...(values.get(key) ?? []), value]);
      }
    }
  }
  const summary = Object.fromEntries(
    [...values].map(([key, all]) => [key, { ...meanAndDeviation(all), values: all }]),
  );
  writeJson(join(out, "seeds.json"), { task: config.task, seeds, metrics: summary });
  report.result(
    { task: config.task, out, seeds, metrics: summary },
    seedsText(config, seeds, summary, report.stdout),
  );
}

type Summary = Readonly<Record<string, { readonly mean: number; readonly deviation: number }>>;

/** Formats the metrics of runs with several seeds: a title, means and deviations, the folder. */
export function seedsText(
  { task, method, out }: Pick<PlacedRun, "task" | "method" | "out">,
  seeds: readonly number[],
  summary: Summary,
  output: Output,
): string {
  const lines = Object.entries(summary).map(([key, { mean, deviation }]) =>
    metricLine(key, `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`),
  );
  const what = "mean and standard deviation over seeds";
  return [
    paint(output, "bold", `${task}: ${method}, ${what} ${seeds.join(", ")}`),
    ...(lines.length > 0 ? [lines.join("\n")] : []),
    `files in ${printable(out)}`,
  ].join("\n\n");
}
