import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import type { PeftAdapter } from "../../core/io/peft-adapter.ts";
import { adaLoraAdapter, loraAdapter } from "../../core/model/adapter-files.ts";
import { type AdaptedModel, adaptModel, declareModel } from "../../core/model/open-model.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import { modernbert } from "../../plugins/modernbert/index.ts";
import { masters } from "./upload.ts";
import { wave } from "./wave.ts";

const folder = join(import.meta.dir, "../golden/cases/07-modernbert-cls");
const RANK = 3;
const ALPHA = 16;

/** The model of 07-modernbert-cls, without values. */
export const declareFused = () =>
  declareModel(modernbert, modernbert.parseConfig(readJsonObject(join(folder, "config.json"))), {
    task: "classification",
    labels: 3,
  });

/** Loads its weights. */
export function loadFused(backend: Backend, { tree }: Pick<AdaptedModel, "tree">): void {
  const { tensors } = openCheckpoint(folder);
  loadWeights(backend, tree, tensors, modernbert, { where: folder, seed: 1 });
}

/**
 * The model of 07-modernbert-cls with adapters of different ranks on every matrix, some at rank 0,
 * and the file that holds them. Values are waves.
 */
export function fusedAdapter(
  backend: Backend,
  method: "adalora" | "lora",
): { readonly adapted: AdaptedModel; readonly adapter: PeftAdapter } {
  const options = { method, modules: null, rank: RANK, alpha: ALPHA, dropout: 0 };
  const adapted = adaptModel(declareFused(), options);
  loadFused(backend, adapted);
  const kept = adapted.adapters.map((_, i) =>
    Array.from({ length: RANK }, (_triplet, t) => (i + t) % 4 !== 0 && i % 5 !== 1),
  );
  for (const [i, { a, e, b }] of adapted.adapters.entries()) {
    const isKept = (t: number) => kept[i]![t]!;
    const width = a.shape[1] ?? 1;
    const values = (length: number, phase: number, tripletOf: (at: number) => number) =>
      wave(length, phase).map((x, at) => (isKept(tripletOf(at)) ? Math.fround(0.3 * x) : 0));
    a.buffer = masters(
      backend,
      values(a.length, i, (at) => Math.floor(at / width)),
    );
    b.buffer = masters(
      backend,
      values(b.length, i + 0.5, (at) => at % RANK),
    );
    if (e)
      e.buffer = masters(
        backend,
        values(e.length, i + 0.7, (at) => at),
      );
  }
  const common = { taskType: "SEQ_CLS", baseModel: null, alpha: ALPHA };
  const schedule = { initWarmup: 2, finalWarmup: 4, maskInterval: 2, totalSteps: 12 };
  const importance = { beta1: 0.85, beta2: 0.85, regOrthCoef: 0.1 };
  const adapter =
    method === "lora"
      ? loraAdapter(backend, adapted, kept, common)
      : adaLoraAdapter(backend, adapted, kept, {
          ...common,
          ...schedule,
          ...importance,
          initRank: RANK,
          targetRank: 2,
        });
  return { adapted, adapter };
}
