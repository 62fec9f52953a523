import { type BenchModel, builtIn } from "../../../cli/bench/checkpoints.ts";
import { type BenchRow, readRows } from "../../../cli/bench/rows.ts";
import { type Workload, type WorkloadName, workloadOf } from "../../../cli/bench/workloads.ts";

/** A workload to measure: a model with random weights, and batches. */
export interface Work {
  readonly name: string;
  readonly workload: Workload;
  readonly model: BenchModel;
  readonly batches: readonly (readonly BenchRow[])[];
}

const bartLarge = {
  ...builtIn["bart-base"],
  d_model: 1024,
  encoder_layers: 12,
  decoder_layers: 12,
  encoder_attention_heads: 16,
  decoder_attention_heads: 16,
  encoder_ffn_dim: 4096,
  decoder_ffn_dim: 4096,
};

interface Source {
  readonly name: WorkloadName;
  readonly config: Readonly<Record<string, unknown>> & { readonly vocab_size: number };
  /** How many of the built-in batches make one. */
  readonly merged?: number;
}

/** All workloads, by name. full-b128: 16,384 tokens a step. */
const sources = {
  "rte-b32": { name: "rte-b32", config: builtIn["deberta-v3-base"] },
  "full-b16": { name: "full-b16", config: builtIn["deberta-v3-base"] },
  "squad-b16": { name: "squad-b16", config: builtIn["deberta-v3-base"] },
  "full-b128": { name: "full-b16", config: builtIn["deberta-v3-base"], merged: 8 },
  "xsum-b8 bart-large": { name: "xsum-b8", config: bartLarge },
  "xsum-b8": { name: "xsum-b8", config: builtIn["bart-base"] },
  "sst2-b32": { name: "sst2-b32", config: builtIn["deberta-v3-base"] },
} as const satisfies Readonly<Record<string, Source>>;

/** Names of all workloads, the most telling first. */
export const workNames = Object.keys(sources);

/** Reads a workload's batches. `small`: a tiny model and batch of the same kind. */
export function workOf(name: string, small: boolean): Work {
  const source: Source | undefined = Object.entries(sources).find(([key]) => key === name)?.[1];
  if (source === undefined) throw new Error(`no workload ${name}: ${workNames.join(", ")}`);
  const config = small ? { ...source.config, ...tiny } : source.config;
  const rows = readRows(source.name, null, config.vocab_size);
  return {
    name,
    workload: workloadOf(source.name),
    model: { dir: undefined, config },
    batches: small ? rows.map(cutBatch) : merge(rows, source.merged ?? 1),
  };
}

// --- internal ---

/** Sizes of DeBERTa and BART alike that the emulated device computes in seconds. */
const tiny = {
  vocab_size: 96,
  hidden_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 48,
  position_buckets: 8,
  d_model: 32,
  encoder_layers: 1,
  decoder_layers: 1,
  encoder_attention_heads: 2,
  decoder_attention_heads: 2,
  encoder_ffn_dim: 48,
  decoder_ffn_dim: 48,
};

const SMALL_ROWS = 2;
const SMALL_LENGTH = 9;

const cutBatch = (batch: readonly BenchRow[]): readonly BenchRow[] =>
  batch.slice(0, SMALL_ROWS).map((row) => ({
    ...row,
    ids: row.ids.slice(0, SMALL_LENGTH),
    target: row.target.slice(0, SMALL_LENGTH),
    width: SMALL_LENGTH + 2,
    span: [1, 2] as const,
  }));

const merge = (batches: Work["batches"], count: number): Work["batches"] =>
  Array.from({ length: batches.length / count }, (_, i) =>
    batches.slice(i * count, (i + 1) * count).flat(),
  );
