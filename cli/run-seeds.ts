import { join } from "node:path";
import { writeJson } from "../core/train/run-files.ts";
import { metricLine } from "./metrics-text.ts";
import { checkOut, type FolderWishes } from "./out-folder.ts";
import type { ExitCode, Report } from "./report.ts";
import type { PlacedRun } from "./run-config.ts";
import { interrupted, type Trained } from "./trained.ts";

/** The folder of the run with one of several seeds. */
export const seedFolder = (out: string, seed: number) => join(out, `seed-${seed}`);

/** Mean and sample standard deviation. */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 };
}

/** One run a seed, in `out/seed-N`, then each metric's mean and deviation in `out/seeds.json`. */
export async function runSeeds(
  config: PlacedRun,
  seeds: readonly number[],
  wishes: FolderWishes,
  report: Report,
  train: (config: PlacedRun) => Promise<Trained>,
): Promise<ExitCode> {
  const { out } = config;
  for (const seed of seeds) checkOut(seedFolder(out, seed), wishes);
  const values = new Map<string, number[]>();
  for (const seed of seeds) {
    report.info(`seed ${seed}`);
    const trained = await train({ ...config, seed, out: seedFolder(out, seed) });
    const { result } = trained;
    if (result.stoppedBy === "interrupt") {
      return interrupted(trained, "the same command with --resume", report);
    }
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
  const lines = Object.entries(summary).map(([key, { mean, deviation }]) =>
    metricLine(key, `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`),
  );
  report.result(
    { task: config.task, out, seeds, metrics: summary },
    [`${seeds.length} seeds`, lines.join("\n")].join("\n\n"),
  );
  return 0;
}
