import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { type Lengths, type WorkloadName, workloadOf } from "./workloads.ts";

/** One sequence of a batch, without padding, and its labels for every task. */
export interface BenchRow {
  readonly ids: readonly number[];
  /** Length that the batch's file pads it to. */
  readonly width: number;
  readonly label: number;
  /** First and last token of the answer. */
  readonly span: readonly [start: number, end: number];
  /** Target tokens; -100 marks positions that the loss ignores. */
  readonly target: readonly number[];
}

interface BatchFile {
  readonly batches: readonly {
    readonly input_ids: readonly (readonly number[])[];
    readonly attention_mask: readonly (readonly number[])[];
    readonly labels?: readonly number[] | readonly (readonly number[])[];
    readonly start_positions?: readonly number[];
    readonly end_positions?: readonly number[];
  }[];
}

/**
 * Reads the batches of `DIR/WORKLOAD.json`, as the peer does; without a folder, makes eight of
 * similar lengths.
 */
export function readRows(
  name: WorkloadName,
  dir: string | null,
  vocabSize: number,
): readonly (readonly BenchRow[])[] {
  if (dir === null) return builtInRows(name, vocabSize);
  const path = join(dir, `${name}.json`);
  let file: BatchFile;
  try {
    file = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const hint = "leave --batches out for built-in ones";
    throw errors.file(path, "cannot be read as a file of batches", hint, cause);
  }
  return file.batches.map((batch) =>
    batch.input_ids.map((ids, b) => {
      const label = batch.labels?.[b] ?? 0;
      return {
        ids: ids.filter((_, t) => batch.attention_mask[b]?.[t] === 1),
        width: ids.length,
        label: typeof label === "number" ? label : 0,
        span: [batch.start_positions?.[b] ?? 0, batch.end_positions?.[b] ?? 0],
        target: typeof label === "number" ? [] : label,
      };
    }),
  );
}

// --- internal ---

const BATCHES = 8;

function builtInRows(name: WorkloadName, vocabSize: number): readonly (readonly BenchRow[])[] {
  const { rows, lengths, targets, width } = workloadOf(name);
  const next = generator(0x5eed);
  const sequence = (of: Lengths) =>
    Array.from({ length: lengthOf(of, next) }, () => 4 + Math.floor(next() * (vocabSize - 4)));
  return Array.from({ length: BATCHES }, () => {
    const batch = Array.from({ length: rows }, () => ({
      ids: sequence(lengths),
      target: targets ? sequence(targets) : [],
    }));
    const widest = width ?? Math.max(...batch.map(({ ids }) => ids.length));
    return batch.map((row, i) => {
      const start = Math.floor(row.ids.length / 2);
      return { ...row, width: widest, label: i % 2, span: [start, start + 1] as const };
    });
  });
}

function lengthOf({ mean, spread, min, max }: Lengths, next: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
  return Math.round(Math.min(max, Math.max(min, mean * Math.exp(spread * normal))));
}

/**
 * Uniform numbers in (0, 1); a linear congruential generator suffices for lengths and random ids.
 */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}
