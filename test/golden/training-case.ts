import type { Backend } from "../../core/backend.ts";
import type { AllocatorOptions } from "../../core/adalora/rank-allocator.ts";
import { gaussianStart, startAdapters } from "../../core/adalora/start.ts";
import { learningRateAt } from "../../core/optim/schedule.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import type { Parameter } from "../../core/tensor.ts";
import { Trainer } from "../../core/train/trainer.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import {
  type CaseModel,
  type GoldenCase,
  type Tolerance,
  loadModel,
  packGolden,
  tensorOf,
} from "./golden-case.ts";

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

/** A whole trajectory of the authors' loralib: every step's scalars and masks, then the final tensors and averages. */
export function checkTraining(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
): CaseResult {
  const settings = golden.golden["case"] as TrainingSettings;
  const comparison = new Comparison();
  const svd = settings.method !== "lora";
  const subject = loadModel(backend, golden.dir, {
    adapt: { rank: settings.r, alpha: settings.alpha, svd },
  });
  const semantics = "reference";
  const trainer = createTrainer(backend, golden, subject, settings, semantics);
  const steps = golden.golden["steps"] as GoldenStep[];
  const lora = settings.method === "lora" ? 20 : 1; // the README's margin for plain LoRA's grad norm in f32
  const trajectory: number[] = [];
  for (const want of steps) {
    const got = trainer.step([trainingBatch(golden, want.step)]);
    const at = `step ${want.step}`;
    comparison.relative(
      "task_loss",
      got.taskLoss,
      want.task_loss,
      tolerance.training,
      `${at} task loss`,
    );
    comparison.close(
      "orth_loss",
      [got.orthogonalityLoss],
      [want.orth_loss],
      tolerance.training,
      `${at} orth loss`,
    );
    comparison.relative(
      "grad_norm",
      got.gradNorm,
      want.grad_norm,
      tolerance.training * lora,
      `${at} grad norm`,
    );
    comparison.relative("lr", got.learningRate, want.lr, 1e-12, `${at} lr`);
    comparison.same("budget", got.budget, want.budget, `${at} budget`);
    if (typeof want.threshold === "number") {
      comparison.relative(
        "threshold",
        got.threshold ?? NaN,
        want.threshold,
        tolerance.training,
        `${at} threshold`,
      );
    } else comparison.same("threshold", got.threshold, undefined, `${at} threshold`);
    if (want.kept) comparison.same("kept", keptByPath(trainer), want.kept, `${at} kept`);
    trajectory.push(...diagonals(backend, trainer));
  }
  compareEnd(backend, golden, trainer, trajectory, tolerance, comparison);
  return comparison.result;
}

export function createTrainer(
  backend: Backend,
  golden: GoldenCase,
  { model, tree, adapters, plugin }: CaseModel,
  s: TrainingSettings,
  semantics: AllocatorOptions["semantics"],
  nameOf: (parameter: Parameter) => string = ({ name }) => name,
): Trainer {
  startAdapters(backend, adapters, gaussianStart, 0); // replaced by the case's own below
  const trained = [...tree.parameters.values()].filter((p) =>
    plugin.adapters.trainable.some((pattern) => pattern.test(p.name)),
  );
  const labels = trained.find((p) => p.name === "classifier.bias")?.length ?? 0;
  const trainer = new Trainer(
    backend,
    {
      adapters,
      trained,
      lossOf: sequenceLoss(model, labels === 1 ? "regression" : "classification"),
    },
    {
      optimizer: {
        variant: "adamw",
        beta1: s.adam_betas[0],
        beta2: s.adam_betas[1],
        eps: s.adam_eps,
        weightDecay: s.weight_decay,
      },
      learningRate: (step) =>
        learningRateAt(step, {
          name: "linear",
          base: s.lr,
          warmup: s.lr_warmup,
          total: s.total_step,
        }),
      maxGradNorm: s.max_grad_norm ?? 0,
      orthogonality: s.method === "lora" ? 0 : s.orth_coef,
      seed: 0,
      allocator:
        s.method === "adalora"
          ? {
              schedule: {
                initial: s.r * adapters.length,
                target: s.target_total_rank ?? s.target_rank * adapters.length,
                warmup: s.init_warmup,
                finalTuning: s.final_warmup,
                interval: s.mask_interval,
                steps: s.total_step,
              },
              beta1: s.beta1,
              beta2: s.beta2,
              importance: "ipt",
              semantics,
            }
          : undefined,
    },
  );
  for (const parameter of trainer.arena.parameters) {
    backend.upload(parameter.buffer, tensorOf(golden, `init.${nameOf(parameter)}`).values);
  }
  return trainer;
}

export function trainingBatch(golden: GoldenCase, step: number) {
  const ids = tensorOf(golden, "batch.input_ids");
  const labels = tensorOf(golden, "batch.labels");
  const [batch, width] = [ids.shape[1] ?? 0, ids.shape[2] ?? 0];
  const offset = step * batch * width;
  const packed = packGolden(ids, tensorOf(golden, "batch.attention_mask"), undefined, { offset });
  return { ...packed, labels: labels.values.subarray(step * batch, (step + 1) * batch) };
}

function keptByPath(trainer: Trainer): Record<string, string> {
  const kept = trainer.kept();
  const entries = trainer.adapters.map(
    ({ path }, i) => [path, kept[i]!.map((k) => (k ? "1" : "0")).join("")] as const,
  );
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** E of every module, modules in sorted order. */
function diagonals(backend: Backend, trainer: Trainer): number[] {
  return trainer.adapters
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .flatMap(({ e }) => (e ? Array.from(backend.download(e.buffer)) : []));
}

function compareEnd(
  backend: Backend,
  golden: GoldenCase,
  { arena, allocator }: Trainer,
  trajectory: readonly number[],
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
