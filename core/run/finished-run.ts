import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject, readJsonObject } from "../io/json-file.ts";
import { metricsIn, numbersIn } from "../io/json-numbers.ts";
import type { SplitClasses, SplitIntervals } from "../tasks/task.ts";
import type { PhaseSeconds } from "../train/clock.ts";
import type { Best } from "../train/progress.ts";
import type { TotalRank } from "./early-stopping.ts";
import type { Environment, PeakMemory, RunResult } from "./results.ts";
import { runFiles } from "./run-folder.ts";

/** Reads the result of a completed run from its folder. Throws E_FILE or E_CONFIG if malformed. */
export function readFinishedRun(out: string): RunResult {
  const path = join(out, runFiles.metrics);
  const raw = readJsonObject(path);
  const ranks = join(out, runFiles.ranks);
  const { steps, seconds, stopped_by, best, majority_baseline: majority } = raw;
  if (typeof steps !== "number" || typeof seconds !== "number") {
    throw errors.file(path, "lacks a run's steps and seconds");
  }
  return {
    steps,
    seconds,
    stoppedBy: stopped_by === "early stopping" ? "early stopping" : "end",
    best: isJsonObject(best) ? bestOf(best) : null,
    metric: isJsonObject(best) ? String(best["metric"]) : "",
    totalRank: totalRankIn(raw["total_rank"]),
    time: timeIn(raw["time"], seconds),
    final: [],
    metrics: metricsIn(objectIn(raw, "metrics", path)),
    intervals: intervalsIn(raw["intervals"]),
    majority: typeof majority === "number" ? majority : undefined,
    classes: classesIn(raw["classes"]),
    baseline: isJsonObject(raw["baseline"]) ? numbersIn(raw["baseline"]) : undefined,
    environment: environmentIn(raw["environment"]),
    peakMemory: peakMemoryIn(raw["peak_memory"]),
    ranks: existsSync(ranks) ? numbersIn(readJsonObject(ranks)) : {},
  };
}

function bestOf(best: JsonObject): Best {
  const { step, metric, value, metrics } = best;
  const sign = metric === "loss" ? -1 : 1;
  return { step: Number(step), value: sign * Number(value), metrics: metricsIn(metrics) };
}

function totalRankIn(value: unknown): TotalRank | undefined {
  const { reached, target } = numbersIn(value);
  return reached === undefined || target === undefined ? undefined : { reached, target };
}

/** Files of earlier versions do not divide the time into phases. */
function timeIn(value: unknown, seconds: number): PhaseSeconds {
  const { start = 0, training = seconds, evaluation = 0 } = numbersIn(value);
  return { start, training, evaluation };
}

function environmentIn(value: unknown): Environment {
  const entries = Object.entries(isJsonObject(value) ? value : {});
  return Object.fromEntries(
    entries.map(([name, one]) => [
      name,
      typeof one === "number" || typeof one === "string" ? one : null,
    ]),
  );
}

function peakMemoryIn(value: unknown): PeakMemory {
  const { process = NaN, buffers = 0 } = numbersIn(value);
  return { process: Number.isNaN(process) ? undefined : process, buffers };
}

/** Reports as `classesJson` writes them; undefined for a task without. */
function classesIn(value: unknown): SplitClasses | undefined {
  if (!isJsonObject(value)) return undefined;
  const splits = Object.entries(value).flatMap(([split, raw]) => {
    if (!isJsonObject(raw)) return [];
    const list = (name: string): readonly unknown[] => {
      const found = raw[name];
      return Array.isArray(found) ? found : [];
    };
    const number = (name: string, i: number) => Number(list(name)[i]);
    const classes = list("labels").map((label, i) => ({
      label: String(label),
      precision: number("precision", i),
      recall: number("recall", i),
      f1: number("f1", i),
      support: number("support", i),
    }));
    const confusion = list("confusion_matrix").map((row) =>
      Array.isArray(row) ? row.map(Number) : [],
    );
    return [[split, { classes, confusion }] as const];
  });
  return Object.fromEntries(splits);
}

function objectIn(raw: JsonObject, key: string, path: string): JsonObject {
  const value = raw[key];
  if (isJsonObject(value)) return value;
  throw errors.config(path, key, "an object", value);
}

/** Intervals as `execute` writes them; undefined for a task without. */
function intervalsIn(value: unknown): SplitIntervals | undefined {
  if (!isJsonObject(value)) return undefined;
  const bySplit = Object.entries(value).map(([split, intervals]) => {
    const entries = isJsonObject(intervals) ? Object.entries(intervals) : [];
    const read = entries.map(([name, one]) => {
      const { low = Number.NaN, high = Number.NaN } = numbersIn(one);
      return [name, { low, high }] as const;
    });
    return [split, Object.fromEntries(read)] as const;
  });
  return Object.fromEntries(bySplit);
}
