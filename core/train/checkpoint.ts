import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend, Buffer, HostArray } from "../backend.ts";
import { configReader } from "../config-reader.ts";
import { errors } from "../errors.ts";
import { writeDirectoryAtomic } from "../io/atomic.ts";
import { toFloat64 } from "../io/float-conversion.ts";
import { isJsonObject, readJsonObject } from "../io/json-file.ts";
import { openSafetensors, writeSafetensors } from "../io/safetensors.ts";
import type { Trainer } from "./trainer.ts";

/** What a checkpoint holds beside the trainer's buffers. */
export interface Progress {
  /** Optimizer steps taken. */
  readonly step: number;
  readonly passes: number;
  /** The best evaluation so far, and evaluations since. */
  readonly best: { readonly step: number; readonly value: number } | null;
  readonly evaluationsSinceBest: number;
  /** Hash of the configuration and the data: a checkpoint of another run is refused. */
  readonly fingerprint: string;
}

const STATE = "state.safetensors";
const PROGRESS = "progress.json";

/**
 * Writes `checkpoints/step-N`, complete or not at all, and removes the oldest beyond `limit`. Later steps go too: the run was
 * resumed before them, so they are damaged, and must not push out whole ones.
 */
export function saveCheckpoint(
  dir: string,
  backend: Backend,
  trainer: Trainer<never>,
  progress: Progress,
  limit: number,
): void {
  writeDirectoryAtomic(join(dir, `step-${progress.step}`), (scratch) => {
    const dtype = backend.master === "f64" ? ("F64" as const) : ("F32" as const);
    const hashes: Record<string, string> = {};
    const tensors = Object.entries(trainer.state).map(([name, buffer]) => {
      const bytes = () => {
        const values = bytesOf(backend.download(buffer));
        hashes[name] = hashOf(values);
        return values;
      };
      return [name, { dtype, shape: [buffer.length], bytes }] as const;
    });
    writeSafetensors(join(scratch, STATE), new Map(tensors));
    writeFileSync(join(scratch, PROGRESS), JSON.stringify({ ...progress, hashes }, null, 2));
  });
  const steps = stepsIn(dir);
  const current = steps.indexOf(progress.step);
  for (const step of [...steps.slice(0, current), ...steps.slice(current + limit)]) {
    rmSync(join(dir, `step-${step}`), { recursive: true, force: true });
  }
}

function bytesOf(values: HostArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Not against forgery, but against bits that a disk lost: 10 GB/s. */
const hashOf = (bytes: Uint8Array) => Bun.hash(bytes).toString(16);

/** Steps of the checkpoints in a folder, newest first. */
export function stepsIn(dir: string): readonly number[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => b - a);
}

export interface ResumeResult {
  /** Undefined where no checkpoint is whole. */
  readonly progress: Progress | undefined;
  /** Newer checkpoints that could not be read, and why. */
  readonly damaged: readonly string[];
}

/** Puts the trainer into the state of the newest checkpoint that is whole; where there is none, it stays as it is. */
export function resumeNewest(
  dir: string,
  backend: Backend,
  trainer: Trainer<never>,
  fingerprint: string,
): ResumeResult {
  const damaged: string[] = [];
  for (const step of stepsIn(dir)) {
    const folder = join(dir, `step-${step}`);
    const progress = tryRead(folder, () => readProgress(join(folder, PROGRESS)));
    if (typeof progress === "string") {
      damaged.push(progress);
      continue;
    }
    // Before the state: another run's may well have other sizes, which is no damage.
    if (progress.fingerprint !== fingerprint) throw errors.otherRun(folder);
    const buffers = tryRead(folder, () => readState(folder, trainer, backend));
    if (typeof buffers === "string") {
      damaged.push(buffers);
      continue;
    }
    for (const [buffer, values] of buffers) backend.upload(buffer, values);
    trainer.resumeAt(progress.step, progress.passes);
    return { progress, damaged };
  }
  return { progress: undefined, damaged };
}

/** What `read` gives, or a line that says what is wrong with the checkpoint. */
function tryRead<T>(folder: string, read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    return `${folder}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Every buffer of the trainer with its numbers: all are read and checked before any is changed. */
function readState(
  folder: string,
  trainer: Trainer<never>,
  backend: Backend,
): (readonly [Buffer, HostArray])[] {
  const { tensors } = openSafetensors(join(folder, STATE));
  const { hashes } = readJsonObject(join(folder, PROGRESS));
  return Object.entries(trainer.state).map(([name, buffer]) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${name} is missing`);
    const expected = isJsonObject(hashes) ? hashes[name] : undefined;
    if (hashOf(tensor.bytes) !== expected) throw new Error(`${name} is not what was written`);
    const values = toFloat64(tensor);
    if (values.length !== buffer.length)
      throw new Error(`${name} has ${values.length} numbers, ${buffer.length} are due`);
    return [buffer, backend.master === "f64" ? values : Float32Array.from(values)] as const;
  });
}

function readProgress(path: string): Progress {
  const raw = readJsonObject(path);
  const c = configReader(raw, path);
  const best = isJsonObject(raw["best"]) ? configReader(raw["best"], `${path}: best`) : undefined;
  return {
    step: c.int("step"),
    passes: c.int("passes"),
    best: best ? { step: best.int("step"), value: best.number("value") } : null,
    evaluationsSinceBest: c.int("evaluationsSinceBest"),
    fingerprint: String(raw["fingerprint"]),
  };
}
