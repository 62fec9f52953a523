import type { Backend } from "../../core/backend.ts";
import { peakResidentMemory } from "../../core/process-memory.ts";
import { findModel } from "./checkpoints.ts";
import { gemmPeak } from "./gemm-peak.ts";
import { openWorkload } from "./open-workload.ts";
import { otherCpuSeconds, sinceProcessStart } from "./process-facts.ts";
import { type KernelTime, profiled } from "./profile.ts";
import { readRows } from "./rows.ts";
import { type WorkloadName, workloadOf } from "./workloads.ts";

/**
 * How often the large product is timed at most; a measurement of few steps needs no better peak.
 */
const MOST_PEAK_TRIES = 12;

/** What to measure, and how. */
export interface MeasureOptions {
  readonly workload: WorkloadName;
  readonly batches: string | null;
  readonly model: string | null;
  readonly warmup: number;
  readonly steps: number;
  readonly profile: boolean;
  /** Whether training recomputes activations in backward. */
  readonly checkpointing: boolean;
}

/** The figures of one round. */
export interface Measurement {
  readonly checkpointing: boolean;
  readonly stepSeconds: readonly number[];
  /** From the process's start to the end of its first step. */
  readonly startUpSeconds: number;
  readonly peakRssMib: number;
  /** Memory that it took of a device with its own; absent on others. */
  readonly deviceMib?: number;
  /** Processors that other processes kept busy during the timed steps. */
  readonly otherLoad: number;
  readonly tokens: readonly number[];
  /** Operations that each timed step needs. */
  readonly neededFlops: readonly number[];
  /** Operations per second of a large product in the same type. */
  readonly gemmPeak: number;
  /** The last step's result, as evidence of its work: see OpenWorkload.step. */
  readonly finalValue: number;
  readonly kernels?: readonly KernelTime[];
  readonly trace?: object;
}

/**
 * Runs one workload in this process: warm-up steps, then timed steps over the following batches.
 */
export async function measure(opened: Backend, options: MeasureOptions): Promise<Measurement> {
  const { warmup, steps, checkpointing } = options;
  const profile = options.profile ? profiled(opened) : undefined;
  const workload = workloadOf(options.workload);
  const model = findModel(workload, options.model);
  const stepping = { checkpointing, profile };
  const work = openWorkload(profile?.backend ?? opened, workload, model, stepping);
  const batches = readRows(options.workload, options.batches, work.vocabSize);
  const at = (i: number) => batches[i % batches.length]!;
  const step = (i: number) =>
    profile ? profile.phase(`step ${i + 1}`, () => work.step(at(i))) : work.step(at(i));
  let finalValue = 0;
  let startUpSeconds = 0;
  for (let i = 0; i < warmup; i++) {
    finalValue = await step(i);
    startUpSeconds ||= sinceProcessStart();
  }
  profile?.reset();
  const others = otherCpuSeconds();
  const stepSeconds: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    finalValue = await step(warmup + i);
    stepSeconds.push((performance.now() - start) / 1000);
  }
  const otherLoad = (otherCpuSeconds() - others) / stepSeconds.reduce((sum, s) => sum + s, 0);
  const timed = stepSeconds.map((_, i) => at(warmup + i));
  const peakRssMib = (peakResidentMemory() ?? 0) / 2 ** 20;
  const { reserved } = opened.memory(); // before the peak's operands
  return {
    checkpointing,
    stepSeconds,
    startUpSeconds,
    peakRssMib,
    ...(reserved === undefined ? {} : { deviceMib: reserved / 2 ** 20 }),
    otherLoad: Math.max(0, otherLoad),
    tokens: timed.map(work.tokens),
    neededFlops: timed.map(work.neededFlops),
    gemmPeak: gemmPeak(opened, Math.min(MOST_PEAK_TRIES, 2 * steps)),
    finalValue,
    ...(profile ? { kernels: profile.times(), trace: profile.trace() } : {}),
  };
}
