import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { statOf } from "../io/regular-file.ts";
import { removeTree } from "../io/remove.ts";

/** File and folder names in a run's folder. */
export const runFiles = {
  config: "config.json",
  metrics: "metrics.json",
  log: "log.jsonl",
  heldOut: "eval_rows.json",
  ranks: "rank_pattern.json",
  adapter: "adapter",
  bestAdapter: "best_adapter",
  model: "model",
  bestModel: "best_model",
  tensorboard: "tensorboard",
  checkpoints: "checkpoints",
  report: "report.html",
  csv: "metrics.csv",
} as const;

const names: ReadonlySet<string> = new Set(Object.values(runFiles));

/** Whether a name belongs to a run, or is a temporary file left by a killed one. */
function isRunFile(name: string): boolean {
  const [, unfinished] = /^\.(.+)\.(?:tmp-\d+|replaced)$/.exec(name) ?? [];
  const target = unfinished ?? name;
  return names.has(target) || /^predictions[._-]/.test(target);
}

/** Names of a run's files in a folder; [] if it does not exist. */
export function runFilesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).filter(isRunFile) : [];
}

/** Folder of one seed's run within a multi-seed run. */
export const seedFolder = (out: string, seed: number) => join(out, `seed-${seed}`);

/** Folders of a multi-seed run, sorted by seed; [] for any other folder. */
export function seedFolders(out: string): readonly string[] {
  if (!existsSync(out)) return [];
  const seeds = readdirSync(out).flatMap((name) => /^seed-(\d+)$/.exec(name)?.slice(1) ?? []);
  return seeds
    .map(Number)
    .toSorted((a, b) => a - b)
    .map((seed) => seedFolder(out, seed));
}

/** Whether a folder contains a completed run: its metrics are written last. */
export function isFinishedRun(folder: string): boolean {
  return existsSync(join(folder, runFiles.metrics));
}

/** Disk usage of a run's files, in bytes. */
export function runBytes(folder: string): number {
  return runFilesIn(folder).reduce((sum, name) => sum + bytesOf(join(folder, name)), 0);
}

function bytesOf(path: string): number {
  const stats = statOf(path);
  if (stats?.isDirectory() !== true) return stats?.size ?? 0;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

/**
 * Deletes a run's files from a folder and leaves all others. Metrics go first, so that an
 * interrupted deletion does not look like a completed run.
 */
export function clearRun(folder: string): void {
  const found = runFilesIn(folder);
  const first = found.filter((name) => name === runFiles.metrics);
  for (const name of [...first, ...found]) {
    removeTree(join(folder, name));
  }
}

/**
 * Remembers what a run's folder holds before the run writes to it. The result deletes what the run
 * wrote, and the folders that were created for it; where the folder held run files, it does
 * nothing.
 */
export function undoFolder(folder: string): () => void {
  if (runFilesIn(folder).length > 0) return () => {};
  const created: string[] = [];
  for (let path = resolve(folder); !existsSync(path); path = dirname(path)) created.push(path);
  return () => {
    clearRun(folder);
    for (const path of created) {
      if (!existsSync(path) || readdirSync(path).length > 0) return;
      rmdirSync(path);
    }
  };
}
