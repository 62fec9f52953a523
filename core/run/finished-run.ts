import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject, readJsonObject } from "../io/json-file.ts";
import type { SplitIntervals } from "../tasks/task.ts";
import type { RunResult } from "./execute.ts";
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
    best: isJsonObject(best) ? { step: Number(best["step"]), value: Number(best["value"]) } : null,
    final: [],
    metrics: Object.fromEntries(
      Object.entries(objectIn(raw, "metrics", path)).map(([split, metrics]) => [
        split,
        numbersIn(metrics),
      ]),
    ),
    intervals: intervalsIn(raw["intervals"]),
    majority: typeof majority === "number" ? majority : undefined,
    ranks: existsSync(ranks) ? numbersIn(readJsonObject(ranks)) : {},
  };
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

/** An undefined metric is NaN, which JSON writes as null. */
function numbersIn(value: unknown): Record<string, number> {
  const entries = isJsonObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    entries.map(([name, number]) => [name, typeof number === "number" ? number : Number.NaN]),
  );
}
