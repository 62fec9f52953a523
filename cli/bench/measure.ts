import { readFileSync } from "node:fs";
import { readJsonObject } from "../../core/io/json-file.ts";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { initializeWeights } from "../../core/nn/load-weights.ts";
import { learningRateAt } from "../../core/optim/schedule.ts";
import { Run } from "../../core/run.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { startAdapters, gaussianStart } from "../../core/adalora/start.ts";
import { adaptModel, declareModel, loadModel } from "../../core/train/open-model.ts";
import { type LabelledBatch, Trainer } from "../../core/train/trainer.ts";
import type { DebertaConfig } from "../../models/deberta/config.ts";
import { deberta } from "../../plugins/deberta.ts";
import { neededFlops } from "./needed-flops.ts";
import { type KernelTime, profiled } from "./profile.ts";
import { readBatches, workloads } from "./workloads.ts";

/** deberta-v3-base's sizes, for runs without a checkpoint. */
const BASE = {
  vocab_size: 128100,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  max_position_embeddings: 512,
  relative_attention: true,
  position_buckets: 256,
  norm_rel_ebd: "layer_norm",
  share_att_key: true,
  pos_att_type: "p2c|c2p",
  position_biased_input: false,
  type_vocab_size: 0,
  num_labels: 2,
};

/** The peer's setting: ranks 12 -> 8, an allocation at every step after the first, dropout as in the checkpoint. */
const [INITIAL_RANK, TARGET_RANK, ALPHA, ORTHOGONALITY, STEPS, FINAL] = [12, 8, 32, 0.1, 1000, 100];

export interface MeasureOptions {
  readonly workload: string;
  readonly batches: string | null;
  readonly model: string | null;
  readonly warmup: number;
  readonly steps: number;
  readonly profile: boolean;
}

export interface Measurement {
  readonly stepSeconds: readonly number[];
  readonly startUpSeconds: number;
  readonly peakRssMib: number;
  readonly tokens: readonly number[];
  /** Needed operations of each timed step. */
  readonly neededFlops: readonly number[];
  /** Of a 4096 x 768 by 768 x 3072 product, the best of several. */
  readonly gemmPeak: number;
  readonly finalValue: number;
  readonly kernels?: readonly KernelTime[];
  readonly trace?: object;
}

/** Runs one workload in this process: warm-up steps, then timed ones over the batches that follow. */
export function measure(opened: Backend, options: MeasureOptions): Measurement {
  const profile = options.profile ? profiled(opened) : undefined;
  const backend = profile?.backend ?? opened;
  const raw = options.model === null ? BASE : readJsonObject(join(options.model, "config.json"));
  const config = deberta.parseConfig(raw);
  const batches = readBatches(options.workload, options.batches, config.vocabSize);
  const training = workloads[options.workload]?.training ?? true;
  const step = training
    ? trainingStep(backend, config, options)
    : predictionStep(backend, config, options);
  const at = (i: number) => batches[i % batches.length]!;
  let finalValue = 0;
  let startUpSeconds = 0;
  for (let i = 0; i < options.warmup; i++) {
    finalValue = step(at(i));
    startUpSeconds ||= sinceProcessStart();
  }
  profile?.reset();
  const timed = Array.from({ length: options.steps }, (_, i) => at(options.warmup + i));
  const stepSeconds = timed.map((batch) => {
    const start = performance.now();
    finalValue = step(batch);
    startUpSeconds ||= sinceProcessStart();
    return (performance.now() - start) / 1000;
  });
  const kernels = profile?.times();
  const trace = profile?.trace();
  const peakRssMib = peakMemory();
  return {
    stepSeconds,
    startUpSeconds,
    peakRssMib,
    tokens: timed.map(({ ids }) => ids.length),
    neededFlops: timed.map((batch) =>
      neededFlops(lengthsOf(batch), config, { rank: INITIAL_RANK, training }),
    ),
    gemmPeak: gemmPeak(opened),
    finalValue,
    ...(kernels ? { kernels } : {}),
    ...(trace ? { trace } : {}),
  };
}

type Step = (batch: LabelledBatch) => number;

function trainingStep(backend: Backend, config: DebertaConfig, { model }: MeasureOptions): Step {
  const declared = declareModel(deberta, config, { task: "classification", labels: 2 });
  const adapted = adaptModel(declared, {
    method: "adalora",
    modules: null,
    rank: INITIAL_RANK,
    alpha: ALPHA,
    dropout: 0,
  });
  if (model === null) {
    initializeWeights(backend, adapted.tree, 0);
    startAdapters(backend, adapted.adapters, gaussianStart, 0);
  } else
    loadModel(backend, adapted, openCheckpoint(model).tensors, {
      where: model,
      seed: 0,
      method: "adalora",
    });
  const { adapters, trained } = adapted;
  const trainer = new Trainer(
    backend,
    { adapters, trained, lossOf: sequenceLoss(adapted.model, "classification") },
    {
      optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
      learningRate: (step) =>
        learningRateAt(step, { name: "linear", base: 1e-3, warmup: 10, total: STEPS }),
      maxGradNorm: 1,
      orthogonality: ORTHOGONALITY,
      seed: 0,
      allocator: {
        schedule: {
          initial: INITIAL_RANK * adapters.length,
          target: TARGET_RANK * adapters.length,
          warmup: 0,
          finalTuning: FINAL,
          interval: 1,
          steps: STEPS,
        },
        beta1: 0.85,
        beta2: 0.85,
        importance: "ipt",
        semantics: "reference",
      },
    },
  );
  return (batch) => trainer.step([batch]).taskLoss;
}

function predictionStep(backend: Backend, config: DebertaConfig, { model }: MeasureOptions): Step {
  const declared = declareModel(deberta, config, { task: "classification", labels: 2 });
  const plain = { ...declared, adapters: [], trained: [] };
  if (model === null) initializeWeights(backend, declared.tree, 0);
  else
    loadModel(backend, plain, openCheckpoint(model).tensors, {
      where: model,
      seed: 0,
      method: "full",
    });
  return (batch) => {
    const run = new Run(backend, { training: false });
    let first = 0;
    run.scope(() => {
      first = backend.download(declared.model.forward(run, batch).buffer)[0] ?? 0;
    });
    return first;
  };
}

function lengthsOf({ offsets }: LabelledBatch): number[] {
  return Array.from({ length: offsets.length - 1 }, (_, b) => offsets[b + 1]! - offsets[b]!);
}

/** Operations per second of a large product on this machine, in the type of activations. */
function gemmPeak(backend: Backend): number {
  const [m, k, n] = [4096, 768, 3072];
  const [a, b, c] = [m * k, k * n, m * n].map((length) => {
    const buffer = backend.alloc(backend.activation, length);
    backend.zero(buffer);
    return buffer;
  });
  let best = Infinity;
  for (let i = 0; i < 12; i++) {
    const start = performance.now();
    backend.gemm(a!, b!, c!, { m, n, k, transB: true });
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  for (const buffer of [a!, b!, c!]) backend.free(buffer);
  return (2 * m * n * k) / best;
}

/** Seconds since the kernel started this process. */
function sinceProcessStart(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)!.split(" ");
  const ticksPerSecond = 100; // Linux on x86-64
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return uptime - Number(fields[19]) / ticksPerSecond;
}

/** Highest resident memory of this process, MiB. */
function peakMemory(): number {
  const line = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line?.[1] ?? 0) / 1024;
}
