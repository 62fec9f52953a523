import { existsSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { errors } from "../../core/errors.ts";
import { type JsonObject, isJsonObject, readJsonObject } from "../../core/io/json-file.ts";
import { readFinishedRun } from "../../core/run/finished-run.ts";
import type { Environment, RunResult } from "../../core/run/results.ts";
import { isFinishedRun, runFiles, seedFolders } from "../../core/run/run-folder.ts";
import { stepsIn } from "../../core/train/checkpoint.ts";
import type { PhaseSeconds } from "../../core/train/clock.ts";
import { readProgress } from "../../core/train/progress.ts";
import { type RunLog, readLog } from "./read-log.ts";

/** Everything that a report shows of a run, read from its folder; its weights are not needed. */
export interface ReportedRun {
  /** The folder's name; of a seed's run with its parent's. */
  readonly name: string;
  readonly folder: string;
  /** The settings; {} if config.json is missing. */
  readonly config: JsonObject;
  /** Undefined for a run that has not finished. */
  readonly result: RunResult | undefined;
  readonly log: RunLog;
  /** Of the result, or of the newest checkpoint. */
  readonly time: PhaseSeconds | undefined;
  /** Empty where neither results nor log name it. */
  readonly environment: Environment;
}

/**
 * Folders of the runs that a name stands for: itself, or the seeds' folders in it. Throws E_OUT
 * where there is no run.
 */
export function runFolders(name: string): readonly string[] {
  const folder = resolve(name);
  if (isRunFolder(folder)) return [folder];
  const seeds = seedFolders(folder).filter(isRunFolder);
  if (seeds.length > 0) return seeds;
  const rule = existsSync(folder) ? "holds no run" : "does not exist";
  throw errors.out(name, rule, "name a run's folder: it has a config.json and a log.jsonl");
}

/** Whether a folder holds a run, in whatever state. */
export function isRunFolder(folder: string): boolean {
  const has = (name: string) => existsSync(join(folder, name));
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return false;
  return has(runFiles.log) || (has(runFiles.config) && has(runFiles.metrics));
}

/** Reads a run. What is missing or damaged beside the log is left out. */
export function readRun(folder: string): ReportedRun {
  const log = readLog(join(folder, runFiles.log));
  const result = isFinishedRun(folder) ? attempt(() => readFinishedRun(folder)) : undefined;
  return {
    name: nameOf(folder),
    folder,
    config: attempt(() => readJsonObject(join(folder, runFiles.config))) ?? {},
    result,
    log,
    time: result?.time ?? timeSoFar(folder),
    environment: result?.environment ?? environmentIn(log.head["environment"]),
  };
}

// --- internal ---

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function nameOf(folder: string): string {
  const name = basename(folder);
  return /^seed-\d+$/.test(name) ? `${basename(resolve(folder, ".."))}/${name}` : name;
}

function timeSoFar(folder: string): PhaseSeconds | undefined {
  const checkpoints = join(folder, runFiles.checkpoints);
  const [step] = attempt(() => stepsIn(checkpoints)) ?? [];
  if (step === undefined) return undefined;
  return attempt(() => readProgress(join(checkpoints, `step-${step}`)).progress.seconds);
}

function environmentIn(value: unknown): Environment {
  const entries = Object.entries(isJsonObject(value) ? value : {});
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string | number | null] =>
      ["string", "number"].includes(typeof entry[1]),
    ),
  );
}
