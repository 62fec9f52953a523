import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { Run } from "../../core/run.ts";
import type { Parameter } from "../../core/tensor.ts";
import { applyAdapter } from "../../core/train/adapter-files.ts";
import type { Trainer } from "../../core/train/trainer.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import {
  type CaseModel,
  type GoldenCase,
  type Tolerance,
  loadModel,
  packGolden,
  tensorOf,
} from "./golden-case.ts";
import { type TrainingSettings, createTrainer, sequenceKind } from "./training-case.ts";

interface PeftStep {
  readonly step: number;
  readonly peft_loss: number;
  readonly grad_norm: number;
  readonly lr: number;
  readonly budget?: number;
  readonly nonzero_E?: Record<string, number>;
}

// PEFT trains `ranknum`, the divisor of its scale, along with the adapter and then does not save it, so that what it writes is not
// quite what it trained. That is not followed: its AdaLoRA steps are compared loosely, its masks exactly.
const RANKNUM_DRIFT = 5e-3;

/** PEFT's own training, step by step, then its adapter files as they come: alone, converted to LoRA, and the base without them. */
export function checkPeft(backend: Backend, golden: GoldenCase, tolerance: Tolerance): CaseResult {
  const comparison = new Comparison();
  comparePeftTraining(backend, golden, tolerance, comparison);
  const batch = packGolden(
    tensorOf(golden, "eval.input_ids"),
    tensorOf(golden, "eval.attention_mask"),
    undefined,
  );
  const base = join(golden.dir, "base");
  const logits = (folder: string | undefined) => {
    const subject = loadModel(backend, base, {});
    if (folder) applyAdapter(backend, subject, readPeftAdapter(join(golden.dir, folder)), folder);
    return logitsOf(backend, subject, batch);
  };
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
  const { result } = comparison;
  const isAdaLora = (golden.golden["case"] as TrainingSettings).method === "adalora";
  if (result.status !== "pass" || !isAdaLora) return result;
  return {
    ...result,
    reason: `training within ${RANKNUM_DRIFT}: PEFT trains ranknum and does not save it`,
  };
}

function comparePeftTraining(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  const settings = golden.golden["case"] as TrainingSettings;
  const svd = settings.method !== "lora";
  const adapt = { rank: settings.r, alpha: settings.alpha, svd };
  const subject = loadModel(backend, join(golden.dir, "base"), { adapt });
  const nameOf = ({ name }: Parameter) => {
    const suffix = !svd && /\.lora_[AB]$/.test(name) ? ".weight" : "";
    return `base_model.model.${name}${suffix}`;
  };
  const allowed = svd ? Math.max(tolerance.training, RANKNUM_DRIFT) : tolerance.training;
  const trainer = createTrainer(backend, golden, subject, settings, {
    kind: sequenceKind,
    semantics: "peft",
    nameOf,
  });
  for (const want of golden.golden["steps"] as PeftStep[]) {
    const got = trainer.step([sequenceKind.batch(golden, want.step)]);
    const at = `step ${want.step}`;
    const loss = got.taskLoss + (svd ? settings.orth_coef : 0) * got.orthogonalityLoss;
    comparison.relative("peft_loss", loss, want.peft_loss, allowed, `${at} loss`);
    comparison.relative(
      "grad_norm",
      got.gradNorm,
      want.grad_norm,
      svd ? allowed : tolerance.training * 20,
      `${at} grad norm`,
    );
    comparison.relative("lr", got.learningRate, want.lr, 1e-12, `${at} lr`);
    if (!want.nonzero_E) continue;
    comparison.same("budget", got.budget, want.budget, `${at} budget`);
    comparison.same("nonzero_E", nonzero(backend, trainer), want.nonzero_E, `${at} non-zero E`);
  }
  for (const parameter of trainer.arena.parameters) {
    const final = golden.tensors.get(`final.${nameOf(parameter)}`);
    if (!final || svd) continue;
    comparison.close(
      "final",
      backend.download(parameter.buffer),
      final.values,
      tolerance.final,
      parameter.name,
    );
  }
}

function nonzero(backend: Backend, { adapters }: Trainer): Record<string, number> {
  const counts = adapters.map(({ path, e }) => {
    const numbers = e ? Array.from(backend.download(e.buffer)) : [];
    return [path, numbers.filter((x) => x !== 0).length] as const;
  });
  return Object.fromEntries(counts.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function logitsOf(backend: Backend, { model }: CaseModel, batch: TokenBatch): ArrayLike<number> {
  const run = new Run(backend, { training: false });
  let got: ArrayLike<number> = [];
  run.scope(() => {
    got = backend.download(model.forward(run, batch).buffer);
  });
  return got;
}
