import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configReader } from "../config-reader.ts";
import { errors } from "../errors.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { isJsonObject, type JsonObject, readJsonObject } from "../io/json-file.ts";
import { metricsIn } from "../io/json-numbers.ts";
import type { PhaseSeconds } from "./clock.ts";
import { trainErrors } from "./train-errors.ts";

/** The best evaluation of a run. */
export interface Best {
  /** Optimizer steps taken. */
  readonly step: number;
  /** The selecting metric, or the loss negated: the higher the better. */
  readonly value: number;
  /** All of its metrics, by split. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Training progress, saved in a checkpoint beside the trainer's buffers. */
export interface Progress {
  /** Optimizer steps taken. */
  readonly step: number;
  /** Forward passes made; dropout masks are drawn from the count. */
  readonly passes: number;
  /** Evaluations made. */
  readonly evaluations: number;
  /**
   * The step of the last evaluation, 0 before the first. Where an evaluation belongs after `step`
   * and this is a smaller one, it has been interrupted or has not begun.
   */
  readonly evaluatedStep: number;
  /** The best evaluation so far; null before the first. */
  readonly best: Best | null;
  /** The best value among the evaluations that early stopping counts; null before the first. */
  readonly bestCounted: number | null;
  /** Counted evaluations since that one. */
  readonly evaluationsSinceBest: number;
  /** Time spent. */
  readonly seconds: PhaseSeconds;
  /** Hash of configuration and data; checkpoints of a different run are rejected. */
  readonly fingerprint: string;
}

/** Progress and the hash of each tensor of the same checkpoint, by name. */
export interface SavedProgress {
  readonly progress: Progress;
  readonly hashes: Readonly<Record<string, string>>;
}

const FILE = "progress.json";

/** Writes `progress.json` into a checkpoint's folder, with a digest of everything in it. */
export function writeProgress(folder: string, saved: SavedProgress): void {
  writeFileSync(join(folder, FILE), textOf(saved));
}

/**
 * Reads and verifies `progress.json`. Throws E_RESUME for a file of an earlier version, which has
 * no digest, and another error for a damaged one.
 */
export function readProgress(folder: string): SavedProgress {
  const path = join(folder, FILE);
  const { digest, ...raw } = readJsonObject(path);
  if (digest === undefined && isJsonObject(raw["hashes"]))
    throw trainErrors.earlierCheckpoint(folder);
  if (digest !== undefined && digest !== digestOf(raw))
    throw errors.file(path, "is corrupted: its digest differs");
  const c = configReader(raw, path);
  const { best, bestCounted } = raw;
  const progress = {
    step: c.int("step"),
    passes: c.int("passes"),
    evaluations: c.int("evaluations"),
    evaluatedStep: c.int("evaluatedStep"),
    best: isJsonObject(best) ? bestOf(best, path) : null,
    bestCounted: typeof bestCounted === "number" ? bestCounted : null,
    evaluationsSinceBest: c.int("evaluationsSinceBest"),
    seconds: secondsOf(raw["seconds"], path),
    fingerprint: String(raw["fingerprint"]),
  };
  return { progress, hashes: textsIn(raw["hashes"]) };
}

/** Replaces the progress of a checkpoint whose tensors stay the same, atomically. */
export function updateProgress(folder: string, progress: Progress): void {
  const { hashes } = readProgress(folder);
  writeFileAtomic(join(folder, FILE), textOf({ progress, hashes }));
}

// --- internal ---

function textOf({ progress, hashes }: SavedProgress): string {
  const content = { ...progress, hashes };
  return JSON.stringify({ ...content, digest: digestOf(content) }, null, 2);
}

/** JSON.parse keeps the order of keys and the exact numbers, so the text can be made again. */
const digestOf = (content: JsonObject) =>
  createHash("sha256").update(JSON.stringify(content)).digest("hex");

function bestOf(raw: JsonObject, path: string): Best {
  const c = configReader(raw, `${path}: best`);
  return { step: c.int("step"), value: c.number("value"), metrics: metricsIn(raw["metrics"]) };
}

function secondsOf(raw: unknown, path: string): PhaseSeconds {
  const c = configReader(isJsonObject(raw) ? raw : {}, `${path}: seconds`);
  return {
    start: c.number("start"),
    training: c.number("training"),
    evaluation: c.number("evaluation"),
  };
}

const textsIn = (value: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(isJsonObject(value) ? value : {}).map(([name, one]) => [name, String(one)]),
  );
