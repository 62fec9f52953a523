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

/** Training progress, saved in a checkpoint beside the trainer's buffers. */
export interface Progress {
  /** Optimizer steps taken. */
  readonly step: number;
  /** Forward passes made; dropout masks are drawn from the count. */
  readonly passes: number;
  /** The best evaluation so far; null before the first. */
  readonly best: { readonly step: number; readonly value: number } | null;
  readonly evaluationsSinceBest: number;
  /** Hash of configuration and data; checkpoints of a different run are rejected. */
  readonly fingerprint: string;
}

const STATE = "state.safetensors";
const PROGRESS = "progress.json";

/**
 * Writes `checkpoints/step-N` atomically, then deletes the oldest beyond `limit`. Later steps are
 * deleted too: if the run resumed before them they were damaged, and must not displace intact ones.
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

/** Detects corruption, not tampering. A non-cryptographic hash is enough, and runs at 10 GB/s. */
const hashOf = (bytes: Uint8Array) => Bun.hash(bytes).toString(16);

/** Step numbers of the checkpoints in a folder, newest first. */
export function stepsIn(dir: string): readonly number[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => b - a);
}

/** Result of looking for a checkpoint to resume from. */
export interface ResumeResult {
  /** Undefined if no checkpoint is intact. */
  readonly progress: Progress | undefined;
  /** A message for each newer checkpoint that could not be read. */
  readonly damaged: readonly string[];
}

/**
 * Restores the trainer from the newest intact checkpoint; without one the trainer is left
 * unchanged. Throws E_RESUME for a checkpoint of a different run.
 */
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
    // Checked before the state: another run's buffers may differ in size without being damaged.
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

/** The result of `read`, or its error as a message that names the checkpoint. */
function tryRead<T>(folder: string, read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    return `${folder}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Reads and verifies the values of every trainer buffer before any buffer is changed. */
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
    if (hashOf(tensor.bytes) !== expected)
      throw new Error(`${name} is corrupted: its hash differs`);
    const values = toFloat64(tensor);
    if (values.length !== buffer.length)
      throw new Error(`${name} has ${values.length} elements, expected ${buffer.length}`);
    return [buffer, backend.master === "f64" ? values : Float32Array.from(values)] as const;
  });
}

function readProgress(path: string): Progress {
  const raw = readJsonObject(path);
  const c = configReader(raw, path);
  const best = isJsonObject(raw["best"]) ? configReader(raw["best"], `${path}: best`) : undefined;
  return {
    step: c.count("step"),
    passes: c.count("passes"),
    best: best ? { step: best.count("step"), value: best.number("value") } : null,
    evaluationsSinceBest: c.count("evaluationsSinceBest"),
    fingerprint: String(raw["fingerprint"]),
  };
}
