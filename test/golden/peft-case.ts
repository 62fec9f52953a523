import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter } from "../../core/tensor.ts";
import { applyAdapter } from "../../core/model/adapter-files.ts";
import type { TaskHead } from "../../core/model/plugin.ts";
import type { GenerationBatch } from "../../core/tasks/generation-loss.ts";
import type { Trainer } from "../../core/train/trainer.ts";
import { bartKind, evaluationBatch } from "./bart-case.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GenerationRun, compareTexts, sourcesOf, generating } from "./generate-case.ts";
import {
  type CaseModel,
  type GoldenCase,
  type Tolerance,
  loadModel,
  packGolden,
  tensorOf,
} from "./golden-case.ts";
import { PeftRanknum } from "./peft-ranknum.ts";
import {
  type TrainingKind,
  type TrainingSettings,
  createTrainer,
  sequenceKind,
} from "./training-case.ts";
import type { LabelledBatch } from "../../core/tasks/batch.ts";

interface PeftStep {
  readonly step: number;
  readonly peft_loss: number;
  readonly grad_norm: number;
  readonly lr: number;
  readonly budget?: number;
  readonly nonzero_E?: Record<string, number>;
}

/** What differs between the kinds of PEFT cases: how they train, and the batch whose logits are compared. */
export interface PeftKind<Batch extends TokenBatch> {
  readonly training: TrainingKind<Batch>;
  evaluation(golden: GoldenCase): TokenBatch;
}

export const peftSequence: PeftKind<LabelledBatch> = {
  training: sequenceKind,
  evaluation: (golden) =>
    packGolden(
      tensorOf(golden, "eval.input_ids"),
      tensorOf(golden, "eval.attention_mask"),
      undefined,
    ),
};

export const peftBart: PeftKind<GenerationBatch> = {
  training: bartKind,
  evaluation: evaluationBatch,
};

/** PEFT's own training, step by step, then its adapter files as they come: alone, converted to LoRA, and the base without them. */
export async function checkPeft<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
  kind: PeftKind<Batch>,
): Promise<CaseResult> {
  const comparison = new Comparison(tolerance);
  comparePeftTraining(backend, golden, tolerance, comparison, kind.training);
  const batch = kind.evaluation(golden);
  const base = join(golden.dir, "base");
  const load = (folder: string | undefined, place = backend) => {
    const subject = loadModel(place, base, headOf(kind.training));
    if (folder) applyAdapter(place, subject, readPeftAdapter(join(golden.dir, folder)), folder);
    return subject;
  };
  const logits = (folder: string | undefined) => logitsOf(backend, load(folder), batch);
  const want = (name: string) => tensorOf(golden, `eval.${name}.logits`).values;
  comparison.close("base_only", logits(undefined), want("base_only"), tolerance.outputs);
  comparison.close("adapter", logits("adapter"), want("adapter"), tolerance.outputs);
  comparison.close("adapter", logits("adapter"), want("merged"), tolerance.outputs);
  if (golden.golden["conversion"]) {
    // float32 rounding of E * A in the converted file
    comparison.close(
      "lora_adapter",
      logits("lora_adapter"),
      want("adapter"),
      Math.max(tolerance.outputs, 1e-6),
    );
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- BART's cases have them
  for (const run of (golden.golden["generate"] ?? []) as GenerationRun[]) {
    const on = (place: Backend) => generating(load("adapter", place).model);
    const generator = { backend, model: on(backend), exact: () => on(createReferenceBackend()) };
    await compareTexts(generator, sourcesOf(golden, "eval"), run, tolerance, comparison);
  }
  return comparison.result;
}

const headOf = ({ head }: { readonly head?: TaskHead }) => (head ? { head } : {});

function comparePeftTraining<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
  comparison: Comparison,
  kind: TrainingKind<Batch>,
): void {
  const settings = golden.golden["case"] as TrainingSettings;
  const svd = settings.method !== "lora";
  const adapt = { rank: settings.r, alpha: settings.alpha, svd };
  const subject = loadModel(backend, join(golden.dir, "base"), { adapt, ...headOf(kind) });
  const nameOf = ({ name }: Parameter) => {
    const suffix = !svd && /\.lora_[AB]$/.test(name) ? ".weight" : "";
    return `base_model.model.${name}${suffix}`;
  };
  const trainer = createTrainer(backend, golden, subject, settings, {
    kind,
    semantics: "peft",
    nameOf,
  });
  const ranknum = new PeftRanknum(backend, subject, trainer, settings);
  // Plain LoRA's trajectory magnifies rounding most, in bf16 by more than f32's tolerance allows for.
  const margin = svd || tolerance.trajectory ? tolerance.training : 3 * tolerance.training;
  for (const want of golden.golden["steps"] as PeftStep[]) {
    ranknum.remember();
    const got = trainer.step([kind.batch(golden, want.step, subject)]);
    const at = `step ${want.step}`;
    const loss = got.taskLoss + (svd ? settings.orth_coef : 0) * got.orthogonalityLoss;
    comparison.relative("peft_loss", loss, want.peft_loss, margin, `${at} loss`);
    const norm = ranknum.follow(got);
    comparison.relative("lr", got.learningRate, want.lr, 1e-12, `${at} lr`);
    if (want.nonzero_E) comparison.same("budget", got.budget, want.budget, `${at} budget`);
    if (!tolerance.trajectory) continue;
    comparison.relative(
      "grad_norm",
      norm,
      want.grad_norm,
      svd ? tolerance.training : tolerance.training * 20,
      `${at} grad norm`,
    );
    if (want.nonzero_E)
      comparison.same("nonzero_E", nonzero(backend, trainer), want.nonzero_E, `${at} non-zero E`);
  }
  if (tolerance.trajectory)
    comparePeftEnd(backend, golden, trainer, ranknum, tolerance, comparison, nameOf);
}

/** The tensors that training leaves. */
function comparePeftEnd<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  trainer: Trainer<Batch>,
  ranknum: PeftRanknum<Batch>,
  tolerance: Tolerance,
  comparison: Comparison,
  nameOf: (parameter: Parameter) => string,
): void {
  for (const parameter of trainer.arena.parameters) {
    const final = golden.tensors.get(`final.${nameOf(parameter)}`);
    if (!final) continue;
    comparison.close(
      "final",
      backend.download(parameter.buffer),
      final.values,
      tolerance.final,
      parameter.name,
    );
  }
  for (const [path, value] of ranknum.values) {
    const final = tensorOf(golden, `final.base_model.model.${path}.ranknum`);
    comparison.close("ranknum", [value], final.values, tolerance.final, `ranknum of ${path}`);
  }
}

function nonzero<Batch extends TokenBatch>(
  backend: Backend,
  { adapters }: Trainer<Batch>,
): Record<string, number> {
  const counts = adapters.map(({ path, e }) => {
    const numbers = e ? Array.from(backend.download(e.buffer)) : [];
    return [path, numbers.filter((x) => x !== 0).length] as const;
  });
  return Object.fromEntries(counts.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function logitsOf(backend: Backend, { model }: CaseModel, batch: TokenBatch): ArrayLike<number> {
  const pass = new ForwardPass(backend, { training: false });
  let got: ArrayLike<number> = [];
  pass.scope(() => {
    got = backend.download(model.forward(pass, batch).buffer);
  });
  return got;
}
