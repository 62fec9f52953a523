import type { Backend } from "../../core/backend.ts";
import { adaloraAllocator } from "../../core/adalora/allocators/adalora.ts";
import { adapterScale } from "../../core/nn/adapter.ts";
import { startAdapters } from "../../core/adalora/start.ts";
import { learningRateAt } from "../../core/optim/schedule.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import type { Parameter } from "../../core/tensor.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { TaskHead } from "../../core/model/plugin.ts";
import type { StepReport } from "../../core/train/step-report.ts";
import { type AllocatorOptions, Trainer, type TrainerOptions } from "../../core/train/trainer.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase, packGolden, tensorOf } from "../../core/model/golden-case.ts";
import { type CaseModel, type Tolerance, adaptedModules, loadModel } from "./golden-case.ts";
import type { BatchLoss, LabelledBatch } from "../../core/tasks/batch.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";

/** Hyperparameters of a training case, as golden.json spells them. */
export interface TrainingSettings {
  readonly method: string;
  readonly r: number;
  readonly alpha: number;
  readonly target_rank: number;
  readonly target_total_rank: number | null;
  readonly init_warmup: number;
  readonly final_warmup: number;
  readonly mask_interval: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly lr: number;
  readonly lr_warmup: number;
  readonly adam_betas: [number, number];
  readonly adam_eps: number;
  readonly weight_decay: number;
  readonly max_grad_norm: number | null;
  readonly orth_coef: number;
  readonly total_step: number;
}

interface GoldenStep {
  readonly step: number;
  readonly task_loss: number;
  readonly orth_loss: number;
  readonly grad_norm: number;
  readonly lr: number;
  readonly budget?: number;
  readonly threshold?: number | null;
  readonly kept?: Record<string, string>;
}

/** What differs between the kinds of training cases: the model's head, its loss, its batches. */
export interface TrainingKind<Batch extends TokenBatch> {
  readonly head?: TaskHead;
  lossOf(subject: CaseModel): BatchLoss<Batch>;
  batch(golden: GoldenCase, step: number, subject: CaseModel): Batch;
}

/** Classification and regression, as the width of the head says. */
export const sequenceKind: TrainingKind<LabelledBatch> = {
  lossOf: ({ model, head }) =>
    sequenceLoss(model, head.task === "regression" ? "regression" : "classification"),
  batch: trainingBatch,
};

/**
 * A whole trajectory of the authors' loralib: every step's scalars and masks, then the final
 * tensors and averages.
 */
export function checkTraining<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
  kind: TrainingKind<Batch>,
): CaseResult {
  const settings = golden.golden["case"] as TrainingSettings;
  const comparison = new Comparison(tolerance);
  const svd = settings.method !== "lora";
  const adapt = adaptedModules(golden, svd, (_, rank) => adapterScale(settings.alpha, rank, svd));
  const subject = loadModel(backend, golden.dir, {
    adapt,
    ...(kind.head ? { head: kind.head } : {}),
  });
  const trainer = createTrainer(backend, golden, subject, settings, { kind });
  const steps = golden.golden["steps"] as GoldenStep[];
  const lora = settings.method === "lora" ? 20 : 1; // the README's margin for plain LoRA's grad norm in f32
  const trajectory: number[] = [];
  for (const want of steps) {
    const got = trainer.step([kind.batch(golden, want.step, subject)]);
    compareStep(trainer, got, want, { ...tolerance, norm: tolerance.training * lora }, comparison);
    if (tolerance.trajectory || want === steps[0])
      compareGradients(backend, golden, trainer, got, tolerance, comparison);
    trajectory.push(...diagonals(backend, trainer));
  }
  if (tolerance.trajectory) {
    const isNoise = noiseOf(subject, backend);
    compareEnd(backend, golden, trainer, { trajectory, isNoise }, tolerance, comparison);
  }
  return comparison.result;
}

function compareStep<Batch extends TokenBatch>(
  trainer: Trainer<Batch>,
  got: StepReport,
  want: GoldenStep,
  { training, norm, trajectory }: Tolerance & { norm: number },
  comparison: Comparison,
): void {
  const at = `step ${want.step}`;
  if (trajectory)
    comparison.relative("task_loss", got.taskLoss, want.task_loss, training, `${at} task loss`);
  else {
    // Plain LoRA's trajectory magnifies rounding most, here as in f32: from the 20th step or so on
    // it is another one.
    const lora = norm > training;
    const margin = lora ? 3 * training : training;
    if (!lora || want.step < 20)
      comparison.close("task_loss", [got.taskLoss], [want.task_loss], margin, `${at} task loss`);
  }
  comparison.close(
    "orth_loss",
    [got.orthogonalityLoss],
    [want.orth_loss],
    training,
    `${at} orth loss`,
  );
  comparison.relative("lr", got.learningRate, want.lr, 1e-12, `${at} lr`);
  comparison.same("budget", got.budget, want.budget, `${at} budget`);
  if (!trajectory) return;
  comparison.relative("grad_norm", got.gradNorm, want.grad_norm, norm, `${at} grad norm`);
  if (typeof want.threshold === "number") {
    const threshold = got.threshold ?? NaN;
    comparison.relative("threshold", threshold, want.threshold, training, `${at} threshold`);
  } else comparison.same("threshold", got.threshold, undefined, `${at} threshold`);
  if (want.kept) comparison.same("kept", keptByPath(trainer), want.kept, `${at} kept`);
}

/**
 * Golden gradients are those before clipping; ours stay in the arena after it, scaled by a known
 * factor.
 */
function compareGradients<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  { arena }: Trainer<Batch>,
  { step, gradNorm }: StepReport,
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  const { max_grad_norm: max } = golden.golden["case"] as TrainingSettings;
  const factor = max ? Math.min(1, max / (gradNorm + 1e-6)) : 1;
  for (const parameter of arena.parameters) {
    const name = `grad.step${step}.${parameter.name}`;
    const want = golden.tensors.get(name);
    if (!want) continue;
    const clipped = backend.download(arena.partOf(arena.gradients, parameter));
    const got = Float64Array.from(clipped, (x) => x / factor);
    comparison.close("gradients", got, want.values, tolerance.training, name);
  }
}

/**
 * Whether a parameter is a span head's bias outside f64: its gradient is zero but for rounding,
 * which Adam turns into steps of the learning rate's size.
 */
export const noiseOf =
  ({ head, plugin }: CaseModel, { master }: Backend) =>
  ({ name }: Parameter): boolean =>
    head.task === "span" &&
    name.endsWith(".bias") &&
    plugin.adapters.trainable.some((pattern) => pattern.test(name)) &&
    master !== "f64";

/** Makes a trainer with a case's settings and initial tensors. */
export function createTrainer<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  subject: CaseModel,
  s: TrainingSettings,
  {
    kind,
    semantics = "reference",
    nameOf = ({ name }) => name,
    maxGradNorm = () => s.max_grad_norm ?? 0,
  }: {
    kind: TrainingKind<Batch>;
    semantics?: AllocatorOptions["semantics"];
    nameOf?: (parameter: Parameter) => string;
    /** Read in each step; 0: no clipping. */
    maxGradNorm?: () => number;
  },
): Trainer<Batch> {
  const { tree, adapters, plugin } = subject;
  startAdapters(backend, adapters, paperValues, 0); // replaced by the case's own below
  const trained = [...tree.parameters.values()].filter((p) =>
    plugin.adapters.trainable.some((pattern) => pattern.test(p.name)),
  );
  const options = {
    ...trainerOptions(s, adapters.length, semantics),
    get maxGradNorm() {
      return maxGradNorm();
    },
  };
  const lossOf = kind.lossOf(subject);
  const trainer = new Trainer(backend, { adapters, trained, lossOf }, options);
  for (const parameter of trainer.arena.parameters) {
    backend.upload(parameter.buffer, tensorOf(golden, `init.${nameOf(parameter)}`).values);
  }
  return trainer;
}

function trainerOptions(
  s: TrainingSettings,
  modules: number,
  semantics: AllocatorOptions["semantics"],
): Omit<TrainerOptions, "maxGradNorm"> {
  const schedule = {
    initial: s.r * modules,
    target: s.target_total_rank ?? s.target_rank * modules,
    warmup: s.init_warmup,
    finalTuning: s.final_warmup,
    interval: s.mask_interval,
    steps: s.total_step,
  };
  const rate = { name: "linear", base: s.lr, warmup: s.lr_warmup, total: s.total_step } as const;
  const { beta1, beta2 } = s;
  return {
    optimizer: {
      variant: "adamw",
      beta1: s.adam_betas[0],
      beta2: s.adam_betas[1],
      eps: s.adam_eps,
      weightDecay: s.weight_decay,
    },
    learningRate: (step) => learningRateAt(step, rate),
    orthogonality: s.method === "lora" ? 0 : s.orth_coef,
    seed: 0,
    allocator:
      s.method === "adalora"
        ? { rule: adaloraAllocator, schedule, beta1, beta2, importance: "ipt", semantics }
        : undefined,
  };
}

function trainingBatch(golden: GoldenCase, step: number): LabelledBatch {
  const ids = tensorOf(golden, "batch.input_ids");
  const labels = tensorOf(golden, "batch.labels");
  const [batch, width] = [ids.shape[1] ?? 0, ids.shape[2] ?? 0];
  const offset = step * batch * width;
  const types = golden.tensors.get("batch.token_type_ids");
  const packed = packGolden(ids, tensorOf(golden, "batch.attention_mask"), types, { offset });
  return { ...packed, labels: labels.values.subarray(step * batch, (step + 1) * batch) };
}

function keptByPath<Batch extends TokenBatch>(trainer: Trainer<Batch>): Record<string, string> {
  const kept = trainer.kept();
  const entries = trainer.adapters.map(
    ({ path }, i) => [path, kept[i]!.map((k) => (k ? "1" : "0")).join("")] as const,
  );
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** E of every module, modules in sorted order. */
function diagonals<Batch extends TokenBatch>(backend: Backend, trainer: Trainer<Batch>): number[] {
  return trainer.adapters
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .flatMap(({ e }) => (e ? Array.from(backend.download(e.buffer)) : []));
}

/** What a trajectory left, besides the trainer. */
interface TrainingEnd {
  readonly trajectory: readonly number[];
  isNoise(this: void, parameter: Parameter): boolean;
}

function compareEnd<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  { arena, allocator }: Trainer<Batch>,
  { trajectory, isNoise }: TrainingEnd,
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  const states = {
    final: arena.values,
    adam_m: arena.firstMoments,
    adam_v: arena.secondMoments,
    ...(allocator && {
      exp_avg_ipt: allocator.state["sensitivity"]!,
      exp_avg_unc: allocator.state["uncertainty"]!,
    }),
  };
  for (const [prefix, buffer] of Object.entries(states)) {
    for (const parameter of arena.parameters) {
      const name = `${prefix}.${parameter.name}`;
      const want = golden.tensors.get(name);
      if (!want) continue;
      if (isNoise(parameter)) continue;
      comparison.close(
        prefix,
        backend.download(arena.partOf(buffer, parameter)),
        want.values,
        tolerance.final,
        name,
      );
    }
  }
  const want = golden.tensors.get("E_trajectory");
  if (want) comparison.close("E_trajectory", trajectory, want.values, tolerance.final);
}
