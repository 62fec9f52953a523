import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** The names in a run's folder. */
export const runFiles = {
  config: "config.json",
  metrics: "metrics.json",
  log: "log.jsonl",
  ranks: "rank_pattern.json",
  adapter: "adapter",
  bestAdapter: "best_adapter",
  model: "model",
  bestModel: "best_model",
  tensorboard: "tensorboard",
  checkpoints: "checkpoints",
} as const;

const names: ReadonlySet<string> = new Set([...Object.values(runFiles), "report.html"]);

/** Whether a name in a folder is a run's, or what a killed run left of one that it was writing. */
function isRunFile(name: string): boolean {
  const [, unfinished] = /^\.(.+)\.(?:tmp-\d+|replaced)$/.exec(name) ?? [];
  const target = unfinished ?? name;
  return names.has(target) || /^predictions[._-]/.test(target);
}

/** The names of a run's files in a folder, which need not exist. */
export function runFilesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).filter(isRunFile) : [];
}

/** The folder of the run with one of several seeds. */
export const seedFolder = (out: string, seed: number) => join(out, `seed-${seed}`);

/** The folders of a folder's runs with several seeds, by seed. */
export function seedFolders(out: string): readonly string[] {
  if (!existsSync(out)) return [];
  const seeds = readdirSync(out).flatMap((name) => /^seed-(\d+)$/.exec(name)?.slice(1) ?? []);
  return seeds
    .map(Number)
    .toSorted((a, b) => a - b)
    .map((seed) => seedFolder(out, seed));
}

/** Whether a folder holds a run that ended: its metrics are written last. */
export function isFinishedRun(folder: string): boolean {
  return existsSync(join(folder, runFiles.metrics));
}

/** Bytes that a run's files take in a folder. */
export function runBytes(folder: string): number {
  return runFilesIn(folder).reduce((sum, name) => sum + bytesOf(join(folder, name)), 0);
}

function bytesOf(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true) return stats?.size ?? 0;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

/** Removes a run from a folder, and nothing else in it; the metrics first, so that what is left is not taken for a whole run. */
export function clearRun(folder: string): void {
  const found = runFilesIn(folder);
  const first = found.filter((name) => name === runFiles.metrics);
  for (const name of [...first, ...found]) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}
