/**
 * bun test/cuda/step-counts.ts [WORKLOAD...] [--dtype f32|bf16] [--list] [--write]
 *
 * Counts what a warm training step queues on the device: kernels, products, fills, copies and waits.
 * It runs on the emulated device, which computes nothing. `--list` adds the launches of each
 * kernel; `--write` renews step-counts.json. Default: the three training workloads in f32 and bf16.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BenchModel, findModel } from "../../cli/bench/checkpoints.ts";
import { openWorkload } from "../../cli/bench/open-workload.ts";
import { readRows } from "../../cli/bench/rows.ts";
import { isWorkload, type WorkloadName, workloadOf } from "../../cli/bench/workloads.ts";
import type { Backend } from "../../core/backend.ts";
import { createEmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import type { EmulatorControl, EmulatorReport } from "../../ffi/cuda/emulator/control.ts";

/** What one training step queues on the device, and how often the host waits for it. */
export interface StepCounts {
  /** Kernels and products. */
  readonly launches: number;
  /** Fills of memory. */
  readonly fills: number;
  /** Copies within the device. */
  readonly copies: number;
  readonly uploads: number;
  readonly downloads: number;
  readonly waits: number;
  /** Launches by kernel, most first. */
  readonly kernels: Readonly<Record<string, number>>;
}

/** The dtypes that are counted. */
type CountedDType = "f32" | "bf16";

/** How a step is counted. */
export interface StepOptions {
  readonly dtype?: CountedDType;
  /** Layers of the encoder, and of a decoder; default: the model's. */
  readonly layers?: number;
}

/** A size of the vocabulary that changes no count. BART's has its own, unless its layers are fewer. */
const VOCABULARY = 2000;

/** Nothing is computed, so that most of the memory is never touched. */
const COUNTING = { compute: 0, memory: 32 * 2 ** 30 };

/** The emulated device's own settings: first_settings of emulator/state.cpp. */
const COMPUTING = { compute: 1, memory: 2 ** 30 };

/** Steps before the counted ones: the first masks nothing, and the second uploads tables. */
const WARM_UP = 2;

/** Steps of which the one with the most launches is reported: one for each batch. */
const STEPS = 8;

/** Counts warm training steps of a workload; returns the counts of the one that launches most. */
export async function countStep(
  name: WorkloadName,
  options: StepOptions = {},
): Promise<StepCounts> {
  const { step, control, close } = await openStep(name, options);
  for (let i = 0; i < WARM_UP; i++) await step();
  let most: StepCounts | undefined;
  for (let i = 0; i < STEPS; i++) {
    control.reset();
    await step();
    const counts = countsOf(control.report());
    if (most === undefined || counts.launches > most.launches) most = counts;
  }
  close();
  return most!;
}

/** A workload's training step on the emulated device, which computes nothing. */
export interface OpenStep {
  readonly step: () => number | Promise<number>;
  readonly control: EmulatorControl;
  /** Frees the device, which computes again. */
  readonly close: () => void;
}

/** Opens a workload with random weights on a backend; each step runs the next batch. */
export function stepsOn(backend: Backend, name: WorkloadName, layers?: number): OpenStep["step"] {
  const workload = workloadOf(name);
  const model = smallModel(findModel(workload, null), layers);
  const open = openWorkload(backend, workload, model, { checkpointing: false });
  const batches = readRows(name, null, open.vocabSize);
  let next = 0;
  return () => open.step(batches[next++ % batches.length]!);
}

/** Opens a workload on the emulated device, which computes nothing. */
export async function openStep(
  name: WorkloadName,
  { dtype = "bf16", layers }: StepOptions = {},
): Promise<OpenStep> {
  const { backend, control } = await createEmulatedBackend(dtype, { settings: COUNTING });
  return {
    step: stepsOn(backend, name, layers),
    control,
    close() {
      backend.close();
      control.apply(COMPUTING);
      control.reset();
    },
  };
}

function smallModel(model: BenchModel, layers: number | undefined): BenchModel {
  const isBart = model.config["model_type"] === "bart";
  const vocabulary = isBart && layers === undefined ? {} : { vocab_size: VOCABULARY };
  const names = isBart ? ["encoder_layers", "decoder_layers"] : ["num_hidden_layers"];
  const depth = layers === undefined ? [] : names.map((name) => [name, layers] as const);
  return { ...model, config: { ...model.config, ...vocabulary, ...Object.fromEntries(depth) } };
}

function countsOf({ calls, kernels, uploads, downloads, waits }: EmulatorReport): StepCounts {
  const listed = Object.entries(kernels).toSorted(([, a], [, b]) => b - a);
  return {
    launches: listed.reduce((sum, [, count]) => sum + count, 0),
    fills: calls["cuMemsetD8Async"] ?? 0,
    copies: calls["cuMemcpyDtoDAsync_v2"] ?? 0,
    uploads,
    downloads,
    waits,
    kernels: Object.fromEntries(listed),
  };
}

/** The workloads that the table has. */
export const COUNTED = ["rte-b32", "squad-b16", "xsum-b8"] as const;

/** The table's file, beside this one. */
const TABLE = join(import.meta.dir, "step-counts.json");

function optionOf(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
}

async function main(args: readonly string[]) {
  const named = args.filter(isWorkload);
  const chosen = optionOf(args, "--dtype");
  const dtypes = (["f32", "bf16"] as const).filter(
    (each) => chosen === undefined || chosen === each,
  );
  const table: Record<string, StepCounts> = {};
  for (const name of named.length > 0 ? named : COUNTED)
    for (const dtype of dtypes) {
      const counts = await countStep(name, { dtype });
      table[`${name} ${dtype}`] = counts;
      const { kernels, ...totals } = counts;
      console.log(`${name} ${dtype} ${JSON.stringify(totals)}`);
      if (args.includes("--list"))
        for (const [kernel, count] of Object.entries(kernels))
          console.log(`${String(count).padStart(6)} ${kernel}`);
    }
  if (args.includes("--write")) writeFileSync(TABLE, `${JSON.stringify(table, null, 2)}\n`);
}

if (import.meta.main) await main(process.argv.slice(2));
