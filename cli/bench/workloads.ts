import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import type { LabelledBatch } from "../../core/train/trainer.ts";

/** Sequence lengths of the built-in batches: like those of the tasks they are named after. */
interface Workload {
  readonly training: boolean;
  readonly rows: number;
  /** Mean and spread of the log-normal that lengths are drawn from, and their bounds. */
  readonly lengths: {
    readonly mean: number;
    readonly spread: number;
    readonly min: number;
    readonly max: number;
  };
}

export const workloads: Readonly<Record<string, Workload>> = {
  "rte-b32": { training: true, rows: 32, lengths: { mean: 58, spread: 0.5, min: 17, max: 289 } },
  "sst2-b32": { training: true, rows: 32, lengths: { mean: 11, spread: 0.55, min: 4, max: 60 } },
  "cola-b32": { training: true, rows: 32, lengths: { mean: 10.5, spread: 0.35, min: 5, max: 45 } },
  "full-b16": { training: true, rows: 16, lengths: { mean: 128, spread: 0, min: 128, max: 128 } },
  "sst2-predict-b32": {
    training: false,
    rows: 32,
    lengths: { mean: 22, spread: 0.4, min: 5, max: 60 },
  },
};

export const workloadNames = Object.keys(workloads);

interface BatchFile {
  readonly batches: readonly {
    readonly input_ids: readonly (readonly number[])[];
    readonly attention_mask: readonly (readonly number[])[];
    readonly labels: readonly number[];
  }[];
}

/** Batches of `DIR/WORKLOAD.json` as integers with padding, packed; without a folder, eight built-in ones of like lengths. */
export function readBatches(
  name: string,
  dir: string | null,
  vocabSize: number,
): readonly LabelledBatch[] {
  if (dir === null) return builtInBatches(name, vocabSize);
  const path = join(dir, `${name}.json`);
  let file: BatchFile;
  try {
    file = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw errors.file(path, "cannot be read as a file of batches", undefined, cause);
  }
  return file.batches.map(({ input_ids: ids, attention_mask: mask, labels }) => ({
    ...packSequences(ids.map((row, b) => row.filter((_, t) => mask[b]?.[t] === 1))),
    labels,
  }));
}

function builtInBatches(name: string, vocabSize: number): readonly LabelledBatch[] {
  const workload = workloads[name];
  if (!workload) throw new Error(`internal: no workload ${name}`);
  const next = generator(0x5eed);
  const length = () => {
    const { mean, spread, min, max } = workload.lengths;
    const normal = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return Math.round(Math.min(max, Math.max(min, mean * Math.exp(spread * normal))));
  };
  return Array.from({ length: 8 }, () => {
    const rows = Array.from({ length: workload.rows }, () =>
      Int32Array.from({ length: length() }, () => 4 + Math.floor(next() * (vocabSize - 4))),
    );
    return { ...packSequences(rows), labels: rows.map((_, i) => i % 2) };
  });
}

/** Uniform numbers in (0, 1): a linear congruential generator is plenty for lengths and arbitrary ids. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}
