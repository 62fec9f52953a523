/**
 * Trains on the batches that `minilm.py record` wrote, from PEFT's first tensors, and prints the largest differences from PEFT as JSON.
 *
 *   bun test/oracle/minilm/replay.ts START RECORD
 *
 * Exits 1 where a loss differs by 1e-5, a gradient norm by 1e-4 (relative), a final tensor by 2e-5, or any E is zero in one alone.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import bert from "../../../examples/plugins/bert.ts";
import { adaloraAllocator } from "../../../core/adalora/allocators/adalora.ts";
import { startAdapters } from "../../../core/adalora/start.ts";
import { paperValues } from "../../../core/adalora/starts/paper.ts";
import type { Backend } from "../../../core/backend.ts";
import { openCheckpoint } from "../../../core/io/checkpoint-files.ts";
import { openSafetensors } from "../../../core/io/safetensors.ts";
import { type GoldenTensor, packGolden, valuesOf } from "../../../core/model/golden-case.ts";
import { loadWeights } from "../../../core/model/load-weights.ts";
import { adaptModel, declareModel } from "../../../core/model/open-model.ts";
import { learningRateAt } from "../../../core/optim/schedule.ts";
import type { LabelledBatch } from "../../../core/tasks/batch.ts";
import { sequenceLoss } from "../../../core/tasks/sequence-loss.ts";
import { Trainer } from "../../../core/train/trainer.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";

interface Recorded {
  readonly task: string;
  readonly method: "adalora" | "lora";
  readonly steps: readonly {
    readonly loss: number;
    readonly taskLoss: number;
    readonly norm: number;
    /** By module: whether each E is not zero after the step. */
    readonly kept?: Readonly<Record<string, readonly boolean[]>>;
  }[];
}

const ORTHOGONALITY = 0.1;
const limits: Readonly<Record<string, number>> = {
  loss: 1e-5,
  taskLoss: 1e-5,
  norm: 1e-4,
  masks: 0,
  final: 2e-5,
};

const [start, record] = process.argv.slice(2);
if (!start || !record) throw new Error("usage: replay.ts START RECORD");
const { task, method, steps }: Recorded = JSON.parse(
  readFileSync(join(record, "steps.json"), "utf8"),
);
const stored = openSafetensors(join(record, "tensors.safetensors")).tensors;
const backend = await createCpuBackend({ dtype: "f32" });
const trainer = createTrainer(backend);
const worst = { loss: 0, taskLoss: 0, norm: 0, masks: 0, final: 0 };

for (const [step, want] of steps.entries()) {
  const got = trainer.step([batchOf(step)]);
  const penalty = method === "adalora" ? ORTHOGONALITY * got.orthogonalityLoss : 0;
  worst.loss = Math.max(worst.loss, relative(got.taskLoss + penalty, want.loss));
  worst.taskLoss = Math.max(worst.taskLoss, relative(got.taskLoss, want.taskLoss));
  worst.norm = Math.max(worst.norm, relative(got.gradNorm, want.norm));
  for (const { path, e } of trainer.adapters) {
    const kept = e && Array.from(backend.download(e.buffer), (value) => value !== 0);
    if (!Bun.deepEquals(kept, want.kept?.[path])) worst.masks++;
  }
}
for (const { name, buffer } of trainer.arena.parameters) {
  const want = tensor(`final.${name}`).values;
  const got = backend.download(buffer);
  for (const [i, value] of want.entries())
    worst.final = Math.max(worst.final, Math.abs(value - got[i]!));
}
console.log(JSON.stringify({ task, method, steps: steps.length, ...worst }));
for (const [name, difference] of Object.entries(worst))
  if (!(difference <= limits[name]!)) process.exitCode = 1;

function createTrainer(on: Backend): Trainer {
  const labels = task === "stsb" ? 1 : 2;
  const dir = join(start!, `labels-${labels}`);
  const kind = labels === 1 ? "regression" : "classification";
  const config = bert.parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const dropout = { hidden: 0, attention: 0, head: 0 };
  const svd = method === "adalora";
  const adapted = adaptModel(declareModel(bert, config, { task: kind, labels, dropout }), {
    method,
    modules: null,
    rank: svd ? 8 : 4,
    alpha: svd ? 16 : 8,
    dropout: 0,
  });
  loadWeights(on, adapted.tree, openCheckpoint(dir).tensors, bert, { where: dir, seed: 0 });
  startAdapters(on, adapted.adapters, paperValues, 0); // replaced by PEFT's below
  const { length } = steps;
  const rate = {
    name: "linear",
    base: 2e-3,
    warmup: Math.round(0.06 * length),
    total: length,
  } as const;
  const schedule = {
    initial: 8 * adapted.adapters.length,
    target: 4 * adapted.adapters.length,
    warmup: Math.round(0.1 * length),
    finalTuning: Math.round(0.35 * length),
    interval: 10,
    steps: length,
  };
  const rule = {
    rule: adaloraAllocator,
    beta1: 0.85,
    beta2: 0.85,
    importance: "ipt",
    semantics: "peft",
  } as const;
  const created = new Trainer(
    on,
    { ...adapted, lossOf: sequenceLoss(adapted.model, kind) },
    {
      optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
      learningRate: (step) => learningRateAt(step, rate),
      maxGradNorm: 1,
      orthogonality: svd ? ORTHOGONALITY : 0,
      seed: 0,
      allocator: svd ? { ...rule, schedule } : undefined,
    },
  );
  for (const { name, buffer } of created.arena.parameters)
    on.upload(buffer, tensor(`init.${name}`).values);
  return created;
}

function batchOf(step: number): LabelledBatch {
  const [ids, mask, types, labels] = [
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "labels",
  ].map((name) => tensor(`batch.${step}.${name}`));
  return { ...packGolden(ids!, mask!, types), labels: labels!.values };
}

function tensor(name: string): GoldenTensor {
  const found = stored.get(name);
  if (!found) throw new Error(`${record} has no tensor ${name}`);
  return valuesOf(found);
}

function relative(got: number, want: number): number {
  return Math.abs(got - want) / Math.abs(want);
}
