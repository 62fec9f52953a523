import type { CacheShape, KeyValueCache } from "../../core/nn/key-value-cache.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import { type TokenBatch, uploadPacking } from "../../core/nn/packed-batch.ts";
import type { SourceTargetBatch } from "../../core/nn/source-target-batch.ts";
import { linear } from "../../core/ops/linear.ts";
import {
  type TokenChoice,
  type TopTokens,
  topLogProbabilities,
} from "../../core/ops/top-log-probabilities.ts";
import { vocabularyLoss } from "../../core/ops/vocabulary-loss.ts";
import type {
  AttendedRows,
  GenerationModel,
  ModelLimits,
  SpecialIds,
  TaskHead,
  VocabularyTargets,
  DecodeStep,
} from "../../core/model/plugin.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import type { BartConfig } from "./config.ts";
import { BartDecoder } from "./decoder.ts";
import { BartEncoder } from "./encoder.ts";

/** BART with its language model head: the word embeddings again (tied) and a constant bias. */
export class BartGenerator implements GenerationModel {
  readonly special: SpecialIds;
  readonly limits: ModelLimits;
  readonly cacheShape: CacheShape;
  readonly #words: Parameter;
  readonly #bias: Parameter;
  readonly #encoder: BartEncoder;
  readonly #decoder: BartDecoder;

  constructor(scope: ModuleScope, config: BartConfig) {
    const { vocabSize, hiddenSize, initializerRange } = config;
    const model = scope.child("model");
    this.special = config.special;
    this.limits = { vocabSize, maxLength: config.maxPositions };
    this.cacheShape = { layers: config.decoder.layers, width: hiddenSize };
    this.#words = model
      .child("shared")
      .parameter("weight", [vocabSize, hiddenSize], { normal: initializerRange });
    this.#encoder = new BartEncoder(model.child("encoder"), this.#words, config);
    this.#decoder = new BartDecoder(model.child("decoder"), this.#words, config);
    this.#bias = scope.constant("final_logits_bias", [vocabSize], "zeros", [1, vocabSize]);
  }

  forward(pass: ForwardPass, batch: SourceTargetBatch): Tensor {
    return this.logits(pass, this.decode(pass, batch.target, this.encode(pass, batch)));
  }

  encode(pass: ForwardPass, source: TokenBatch): readonly AttendedRows[] {
    const rows = uploadPacking(pass, source);
    const hidden = this.#encoder.forward(pass, source, rows);
    const attended = this.#decoder.sourceRows(pass, hidden, rows);
    pass.tape.drop(hidden.buffer);
    return attended;
  }

  decode(pass: ForwardPass, target: TokenBatch, source: readonly AttendedRows[]): Tensor {
    return this.#decoder.forward(pass, target, uploadPacking(pass, target), source);
  }

  decodeStep(
    pass: ForwardPass,
    step: DecodeStep,
    source: readonly AttendedRows[],
    cache: KeyValueCache,
  ): Tensor {
    return this.#decoder.decodeStep(pass, step, source, cache);
  }

  topTokens(pass: ForwardPass, hidden: Tensor, choice: TokenChoice): TopTokens {
    return topLogProbabilities(pass, { hidden, weight: this.#words, bias: this.#bias }, choice);
  }

  logits(pass: ForwardPass, hidden: Tensor): Tensor {
    return linear(pass, { x: hidden, weight: this.#words, bias: this.#bias }, {});
  }

  loss(pass: ForwardPass, hidden: Tensor, targets: VocabularyTargets): Tensor {
    return vocabularyLoss(pass, { hidden, weight: this.#words }, { ...targets, bias: this.#bias });
  }
}

/** Builds the model of a task; the head's dropout overrides the checkpoint's. */
export function buildBart(config: BartConfig, head: TaskHead, scope: ModuleScope): GenerationModel {
  const dropout = {
    ...config.dropout,
    hidden: head.dropout?.hidden ?? config.dropout.hidden,
    attention: head.dropout?.attention ?? config.dropout.attention,
  };
  return new BartGenerator(scope, { ...config, dropout });
}
