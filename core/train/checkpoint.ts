import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Backend, Buffer, HostArray } from "../backend.ts";
import { AdaloraError } from "../errors.ts";
import { writeDirectoryAtomic } from "../io/atomic.ts";
import { toFloat64 } from "../io/float-conversion.ts";
import { removeTree } from "../io/remove.ts";
import { openSafetensors, writeSafetensors } from "../io/safetensors.ts";
import { differInPlugin } from "./plugin-fingerprint.ts";
import { type Progress, readProgress, type SavedProgress, writeProgress } from "./progress.ts";
import { trainErrors } from "./train-errors.ts";
import type { Trainer } from "./trainer.ts";

const STATE = "state.safetensors";

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
    const dtype = storedDtype(backend);
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
    writeProgress(scratch, { progress, hashes });
  });
  const steps = stepsIn(dir);
  const current = steps.indexOf(progress.step);
  for (const step of [...steps.slice(0, current), ...steps.slice(current + limit)]) {
    removeTree(join(dir, `step-${step}`));
  }
}

const storedDtype = ({ master }: Backend) => (master === "f64" ? "F64" : "F32");

/** Deletes the checkpoint of a step, and the folder of checkpoints if it was the last one. */
export function removeCheckpoint(dir: string, step: number): void {
  removeTree(join(dir, `step-${step}`));
  if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir);
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
    const saved = tryRead(folder, () => readProgressOf(step, folder));
    if (typeof saved === "string") {
      damaged.push(saved);
      continue;
    }
    const { progress } = saved;
    // Checked before the state: another run's buffers may differ in size without being damaged.
    if (progress.fingerprint !== fingerprint) {
      const isPlugin = differInPlugin(progress.fingerprint, fingerprint);
      throw isPlugin ? trainErrors.changedPlugin(folder) : trainErrors.otherRun(folder);
    }
    const buffers = tryRead(folder, () => readState(folder, saved, trainer, backend));
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

function readProgressOf(step: number, folder: string): SavedProgress {
  const saved = readProgress(folder);
  if (saved.progress.step === step) return saved;
  throw new Error(`holds step ${saved.progress.step}, not ${step}`);
}

/** The result of `read`, or its error as a message that names the checkpoint. */
function tryRead<T>(folder: string, read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof AdaloraError && error.code === "E_RESUME") throw error;
    return `${folder}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Reads and verifies the values of every trainer buffer before any buffer is changed. */
function readState(
  folder: string,
  { hashes }: SavedProgress,
  trainer: Trainer<never>,
  backend: Backend,
): (readonly [Buffer, HostArray])[] {
  const { tensors } = openSafetensors(join(folder, STATE));
  return Object.entries(trainer.state).map(([name, buffer]) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${name} is missing`);
    if (hashOf(tensor.bytes) !== hashes[name])
      throw new Error(`${name} is corrupted: its hash differs`);
    if (tensor.dtype !== storedDtype(backend))
      throw new Error(`${name} is ${tensor.dtype}, expected ${storedDtype(backend)}`);
    const values = toFloat64(tensor);
    if (values.length !== buffer.length)
      throw new Error(`${name} has ${values.length} elements, expected ${buffer.length}`);
    return [buffer, backend.master === "f64" ? values : Float32Array.from(values)] as const;
  });
}
