import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { AdaloraError } from "../core/errors.ts";
import type { JsonObject } from "../core/io/json-file.ts";
import { isLocked } from "./run-lock.ts";
import { isRunFolder, type ReportedRun, readRun } from "./report-page/read-run.ts";
import { resumeCommand } from "./shell-command.ts";

/** What `adalora runs` says of a run. */
export interface ListedRun {
  /** The folder, as a path from the current one. */
  readonly folder: string;
  readonly task: string | null;
  readonly method: string | null;
  readonly seed: number | null;
  /** Ranks kept of those before pruning; null for methods without ranks and in older logs. */
  readonly ranks: { readonly kept: number; readonly initial: number } | null;
  /** The metric that selects the best step, after the newest evaluation; null without one. */
  readonly metric: { readonly split: string; readonly name: string; readonly value: number } | null;
  readonly state: "running" | "stopped" | "finished" | "unreadable";
  /** The last step in the log, and how many there are to be; null if the log doesn't say. */
  readonly step: number;
  readonly steps: number | null;
  /** What continues a stopped run; null for the others. */
  readonly resume: string | null;
  /** Why a run is unreadable; null for the others. */
  readonly problem: string | null;
}

/** Folders below this depth are not looked at: runs/task/seed-N is three deep. */
const DEEPEST = 4;

/** Lists the runs in a folder and in those within it, by path. */
export async function listRuns(folder: string): Promise<readonly ListedRun[]> {
  const listed: ListedRun[] = [];
  for (const one of runFoldersIn(folder, DEEPEST)) {
    try {
      listed.push(await listedRun(one));
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
      listed.push({ ...unreadable, folder: one, problem: error.message });
    }
  }
  return listed;
}

// --- internal ---

const unreadable = {
  task: null,
  method: null,
  seed: null,
  ranks: null,
  metric: null,
  state: "unreadable",
  step: 0,
  steps: null,
  resume: null,
} as const;

/** Folders of weights, checkpoints and logs hold no runs. */
const NOT_RUNS = /^(\.|node_modules$|checkpoints$|tensorboard$|(best_)?(adapter|model)$)/;

function runFoldersIn(folder: string, depth: number): readonly string[] {
  const own = isRunFolder(folder) ? [folder] : [];
  if (depth === 0 || !existsSync(folder)) return own;
  const below = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !NOT_RUNS.test(entry.name))
    .map(({ name }) => join(folder, name))
    .toSorted(natural.compare);
  return [...own, ...below.flatMap((one) => runFoldersIn(one, depth - 1))];
}

/** Orders seed-2 before seed-10. */
const natural = new Intl.Collator("en", { numeric: true });

async function listedRun(folder: string): Promise<ListedRun> {
  const run = readRun(folder);
  const { log, result, config } = run;
  const steps = Number(log.head["steps"] ?? Number.NaN);
  const state = (await isLocked(resolve(folder))) ? "running" : result ? "finished" : "stopped";
  const { seed } = config;
  return {
    folder,
    task: textIn(config, "task"),
    method: textIn(config, "method"),
    seed: typeof seed === "number" ? seed : null,
    ranks: ranksOf(run),
    metric: metricOf(run),
    state,
    step: result?.steps ?? log.lastStep,
    steps: Number.isFinite(steps) ? steps : null,
    resume: state === "stopped" ? resumeCommand(folder) : null,
    problem: null,
  };
}

function textIn(config: JsonObject, key: string): string | null {
  const value = config[key];
  return typeof value === "string" ? value : null;
}

function ranksOf({ log, result }: ReportedRun): ListedRun["ranks"] {
  const initial = Number(log.head["init_total_rank"] ?? Number.NaN);
  if (!Number.isFinite(initial)) return null;
  return { kept: result?.totalRank?.reached ?? log.masks.at(-1)?.kept ?? initial, initial };
}

function metricOf({ log, result, config }: ReportedRun): ListedRun["metric"] {
  const newest = result ? Object.entries(result.metrics)[0] : undefined;
  const logged = log.evaluations.at(-1);
  const [split, metrics] = newest ?? (logged ? [logged.split, logged.metrics] : []);
  if (split === undefined || metrics === undefined) return null;
  const chosen = [result?.metric, textIn(config, "metric"), ...Object.keys(metrics)];
  const name = chosen.find((one) => typeof one === "string" && one in metrics);
  const value = typeof name === "string" ? metrics[name] : undefined;
  if (typeof name !== "string" || value === undefined) return null;
  return { split, name, value };
}
