import { startAdapters } from "../../core/adalora/start.ts";
import type { Backend } from "../../core/backend.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import { ModuleScope } from "../../core/nn/module-scope.ts";
import type { GenerationModel, TaskHead } from "../../core/model/plugin.ts";
import type { GenerationBatch } from "../../core/tasks/generation-loss.ts";
import type { Method } from "../../core/config/method.ts";
import { type AdaptedModel, adaptModel } from "../../core/model/open-model.ts";
import { buildBart } from "../../models/bart/model.ts";
import { bart } from "../../plugins/bart/index.ts";
import { wave } from "./wave.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";

/** config.json of a BART that a test can afford: every part of the real one, large initial weights. */
export const tinyBartConfig = {
  model_type: "bart",
  vocab_size: 24,
  d_model: 8,
  encoder_layers: 2,
  decoder_layers: 2,
  encoder_attention_heads: 2,
  decoder_attention_heads: 4,
  encoder_ffn_dim: 12,
  decoder_ffn_dim: 10,
  max_position_embeddings: 16,
  init_std: 0.4,
  dropout: 0,
  attention_dropout: 0,
  activation_dropout: 0,
} as const;

/** Options of a tiny BART. */
export interface TinyBartOptions {
  readonly method?: Method;
  readonly config?: object;
  readonly dropout?: TaskHead["dropout"];
}

/** A tiny BART with values. */
export interface TinyBart {
  readonly bart: GenerationModel;
  readonly adapted: AdaptedModel;
}

/** A tiny BART with numbers, adapted as a method does; a function of its options alone. */
export function tinyBart(backend: Backend, options: TinyBartOptions = {}): TinyBart {
  const { method = "adalora", config, dropout } = options;
  const scope = ModuleScope.root();
  const head = { task: "generation", labels: 0, ...(dropout && { dropout }) } as const;
  const model = buildBart(bart.parseConfig({ ...tinyBartConfig, ...config }), head, scope);
  const adapted = adaptModel(
    { plugin: bart, model, tree: scope.tree },
    { method, modules: null, rank: 2, alpha: 16, dropout: 0 },
  );
  initializeWeights(backend, adapted.tree, 5);
  startAdapters(backend, adapted.adapters, paperValues, 5);
  return { bart: model, adapted };
}

const sentence = (length: number, phase: number) =>
  Array.from(wave(length, phase), (x) => 3 + (Math.floor(Math.abs(x) * 1000) % 21));

/** Sources of 1 to 7 tokens and targets of 1 to 4, in no order. */
export const tinyPair = (index: number) => ({
  source: sentence(1 + ((index * 5) % 7), index),
  target: [...sentence((index * 3) % 4, index + 0.5), 2],
});

/** The batch of some tiny pairs; or of given ones. */
export function tinyBartBatch(
  pairs: readonly (number | { source: readonly number[]; target: readonly number[] })[],
): GenerationBatch {
  const all = pairs.map((pair) => (typeof pair === "number" ? tinyPair(pair) : pair));
  return {
    ...packSequences(all.map(({ source }) => source)),
    ...packTargets(
      all.map(({ target }) => target),
      { start: 2, pad: 1 },
    ),
  };
}
