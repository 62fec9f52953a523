import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { adapterScale } from "../../core/nn/adapter.ts";
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
import { type GoldenCase, packGolden, tensorOf } from "../../core/model/golden-case.ts";
import { type CaseModel, type Tolerance, adaptedModules, loadModel } from "./golden-case.ts";
import type { SpanBatch } from "../../core/tasks/span-loss.ts";
import { spanKind } from "./span-case.ts";
import { PeftRanknum } from "./peft-ranknum.ts";
import {
  type TrainingKind,
  type TrainingSettings,
  createTrainer,
  noiseOf,
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
  /** Golden logits `eval.NAME.*` in the order of the model's own. */
  expected(golden: GoldenCase, name: string): ArrayLike<number>;
}

const expectedLogits = (golden: GoldenCase, name: string) =>
  tensorOf(golden, `eval.${name}.logits`).values;

/** The batch of an evaluation; token types are zeros where the case has none. */
const evaluationTokens = (golden: GoldenCase) =>
  packGolden(
    tensorOf(golden, "eval.input_ids"),
    tensorOf(golden, "eval.attention_mask"),
    golden.tensors.get("eval.token_type_ids"),
  );

/** Trajectories of PEFT on classification and regression. */
export const peftSequence: PeftKind<LabelledBatch> = {
  training: sequenceKind,
  evaluation: evaluationTokens,
  expected: expectedLogits,
};

/** Trajectories of PEFT on questions. */
export const peftSpan: PeftKind<SpanBatch> = {
  training: spanKind,
  evaluation: evaluationTokens,
  expected(golden, name) {
    const [start, end] = ["start", "end"].map((side) =>
      tensorOf(golden, `eval.${name}.${side}_logits`),
    );
    const { rows } = evaluationTokens(golden);
    return Array.from(rows).flatMap((row) => [start!.values[row]!, end!.values[row]!]);
  },
};

/** Trajectories of PEFT on BART. */
export const peftBart: PeftKind<GenerationBatch> = {
  training: bartKind,
  evaluation: evaluationBatch,
  expected: expectedLogits,
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
  const want = (name: string) => kind.expected(golden, name);
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
  const adapt = adaptedModules(golden, svd, scales(golden, settings));
  const subject = loadModel(backend, join(golden.dir, "base"), { adapt, ...headOf(kind) });
  const nameOf = ({ name }: Parameter) => {
    const suffix = !svd && /\.lora_[AB]$/.test(name) ? ".weight" : "";
    return `base_model.model.${name}${suffix}`;
  };
  let ranknum: PeftRanknum<Batch> | undefined = undefined;
  const trainer = createTrainer(backend, golden, subject, settings, {
    kind,
    semantics: "peft",
    nameOf,
    maxGradNorm: () => ranknum?.maxGradNorm ?? 0,
  });
  ranknum = new PeftRanknum(backend, subject, trainer, settings, {
    lossOf: kind.lossOf(subject),
    isTrained: [...golden.tensors.keys()].some((name) => /^init\..+\.ranknum$/.test(name)),
  });
  // Plain LoRA's trajectory magnifies rounding most, in bf16 by more than f32's tolerance allows for.
  const margin = svd || tolerance.trajectory ? tolerance.training : 3 * tolerance.training;
  for (const want of golden.golden["steps"] as PeftStep[]) {
    const batch = kind.batch(golden, want.step, subject);
    ranknum.prepare(batch);
    const got = trainer.step([batch]);
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
    comparePeftEnd(backend, golden, trainer, ranknum, tolerance, comparison, {
      nameOf,
      isNoise: noiseOf(subject, backend),
    });
}

/** The scale of each module: PEFT's LoRA may have ranks and alphas by pattern, and divide by the rank's root. */
function scales(
  { dir }: GoldenCase,
  { method, r, alpha }: TrainingSettings,
): (path: string, rank: number) => number {
  if (method !== "lora") return () => adapterScale(alpha, r, true);
  const adapter = JSON.parse(readFileSync(join(dir, "adapter", "adapter_config.json"), "utf8"));
  const patterns = Object.entries<number>(adapter["alpha_pattern"] ?? {});
  return (path, rank) => {
    const own = patterns.find(([key]) => new RegExp(`(^|\\.)${key}$`).test(path))?.[1] ?? alpha;
    return own / (adapter["use_rslora"] === true ? Math.sqrt(rank) : rank);
  };
}

/** The golden's names of parameters, and which are rounding errors alone. */
interface PeftNames {
  nameOf(this: void, parameter: Parameter): string;
  isNoise(this: void, parameter: Parameter): boolean;
}

/** The tensors that training leaves. */
function comparePeftEnd<Batch extends TokenBatch>(
  backend: Backend,
  golden: GoldenCase,
  trainer: Trainer<Batch>,
  ranknum: PeftRanknum<Batch>,
  tolerance: Tolerance,
  comparison: Comparison,
  { nameOf, isNoise }: PeftNames,
): void {
  for (const parameter of trainer.arena.parameters) {
    const final = golden.tensors.get(`final.${nameOf(parameter)}`);
    if (!final || isNoise(parameter)) continue;
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
