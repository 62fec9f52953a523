import { adaloraAllocator } from "../../core/adalora/allocators/adalora.ts";
import { type AdapterStart, startAdapters } from "../../core/adalora/start.ts";
import { loraValues } from "../../core/adalora/starts/lora.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";
import type { Backend } from "../../core/backend.ts";
import { type Method, svdMethods, isOneOf } from "../../core/config/method.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { type AdaptedModel, adaptModel, declareModel } from "../../core/model/open-model.ts";
import type { HeadKind } from "../../core/model/plugin.ts";
import { type TokenBatch, packSequences } from "../../core/nn/packed-batch.ts";
import type { LabelledBatch } from "../../core/tasks/batch.ts";
import { sequenceDataset } from "../../core/tasks/sequence-dataset.ts";
import type { SequenceExamples } from "../../core/tasks/sequence-examples.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import type { PredictionSet, TrainingSet } from "../../core/tasks/task.ts";
import { type AllocatorOptions, Trainer, type TrainerOptions } from "../../core/train/trainer.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { wave } from "./wave.ts";

/** config.json of a tiny DeBERTa v3 with every part of the real one, and large initial weights. */
export const tinyConfig = {
  model_type: "deberta-v2",
  vocab_size: 24,
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  initializer_range: 0.4,
  relative_attention: true,
  position_buckets: 4,
  max_position_embeddings: 16,
  pos_att_type: "p2c|c2p",
  share_att_key: true,
  norm_rel_ebd: "layer_norm",
  position_biased_input: false,
  type_vocab_size: 0,
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
} as const;

/** Options of a tiny DeBERTa. */
export interface TinyOptions {
  readonly method?: Method;
  /** First values of the adapters; default: the method's own. */
  readonly start?: AdapterStart;
  readonly rank?: number;
  readonly alpha?: number;
  readonly modules?: readonly string[];
  /** Of hidden states, attention, head, and the adapters' inputs. */
  readonly dropout?: number;
  readonly labels?: number;
  readonly seed?: number;
  readonly config?: object;
}

/** A tiny initialized DeBERTa, adapted by a method; determined by its options alone. */
export function tinyModel(backend: Backend, options: TinyOptions = {}): AdaptedModel {
  const { method = "adalora", rank = 3, dropout = 0, labels = 2, seed = 5 } = options;
  const svd = isOneOf(method, svdMethods);
  const task: HeadKind = labels === 1 ? "regression" : "classification";
  const config = deberta.parseConfig({ ...tinyConfig, ...options.config });
  const head = { task, labels, dropout: { hidden: dropout, attention: dropout, head: dropout } };
  const adapted = adaptModel(declareModel(deberta, config, head), {
    method,
    modules: options.modules ?? null,
    rank,
    alpha: options.alpha ?? 16,
    dropout,
  });
  initializeWeights(backend, adapted.tree, seed);
  const start = options.start ?? (svd ? paperValues : loraValues);
  startAdapters(backend, adapted.adapters, start, seed);
  return adapted;
}

/** Settings of a trainer for it, without an allocator. */
export const tinyTraining: TrainerOptions = {
  optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
  learningRate: () => 0.02,
  maxGradNorm: 1,
  orthogonality: 0.1,
  seed: 11,
  allocator: undefined,
};

/** Prunes 12 adapters of rank 3 to half: masks at steps 4, 6 and from 8 on. */
export const tinyAllocator: AllocatorOptions = {
  rule: adaloraAllocator,
  schedule: { initial: 36, target: 18, warmup: 2, finalTuning: 4, interval: 2, steps: 12 },
  beta1: 0.85,
  beta2: 0.85,
  importance: "ipt",
  semantics: "reference",
};

/** A trainer of a tiny model for classification or regression. */
export function tinyTrainer(
  backend: Backend,
  { model, adapters, trained }: AdaptedModel,
  options: Partial<TrainerOptions> = {},
  labels = 2,
): Trainer {
  const lossOf = sequenceLoss(model, labels === 1 ? "regression" : "classification");
  return new Trainer(backend, { adapters, trained, lossOf }, { ...tinyTraining, ...options });
}

/** Sentences of 1 to 7 tokens; the class says whether word 7 is among them. */
export function tinySentence(index: number): { ids: number[]; label: number } {
  const length = 1 + ((index * 5) % 7);
  const values = wave(length, index);
  const ids = Array.from(values, (x) => 8 + (Math.floor(Math.abs(x) * 1000) % 16));
  const label = index % 2;
  if (label === 1) ids[index % length] = 7;
  return { ids, label };
}

/** A batch of tiny sentences. */
export function tinyBatch(indices: readonly number[]): LabelledBatch {
  const sentences = indices.map(tinySentence);
  const packed: TokenBatch = packSequences(sentences.map(({ ids }) => ids));
  return { ...packed, labels: sentences.map(({ label }) => label) };
}

/** The same as a run sees it. */
export function tinyDataset(name: string, rows: number, from = 0): TrainingSet & PredictionSet {
  return ownDataset(tinyExamples(name, rows, from));
}

/** A split of the user's own data with two classes. */
export function ownDataset(set: SequenceExamples): TrainingSet & PredictionSet {
  return sequenceDataset(set, { glue: undefined, kind: "classification", isWhole: true });
}

/** The first `rows` tiny sentences, from `from` on, as a split. */
export function tinyExamples(name: string, rows: number, from = 0): SequenceExamples {
  const sentences = Array.from({ length: rows }, (_, i) => tinySentence(from + i));
  const { ids, offsets } = packSequences(sentences.map((s) => s.ids));
  return {
    name,
    examples: sentences.map(({ label }, index) => ({ index, text: `row ${index}`, label })),
    tokens: { ids, typeIds: new Uint8Array(ids.length), offsets },
    lengths: Int32Array.from(sentences, (s) => s.ids.length),
    labels: Float64Array.from(sentences, ({ label }) => label),
    labelNames: ["no", "yes"],
    warnings: [],
  };
}
