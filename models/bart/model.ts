import {
  type AttendedRows,
  type CacheShape,
  type DecodeStep,
  type ForwardPass,
  type GenerationModel,
  type KeyValueCache,
  type ModelLimits,
  type ModuleScope,
  nn,
  ops,
  type Parameter,
  type SourceTargetBatch,
  type SpecialIds,
  type TaskHead,
  type Tensor,
  type TokenBatch,
  type TokenChoice,
  type TopTokens,
  type VocabularyTargets,
} from "../../core/kit/kit.ts";
import { bartEncoder } from "./blocks.ts";
import type { BartConfig } from "./config.ts";
import { BartDecoder } from "./decoder.ts";

/** BART with its language model head: the word embeddings again (tied) and a constant bias. */
class BartGenerator implements GenerationModel {
  readonly special: SpecialIds;
  readonly limits: ModelLimits;
  readonly cacheShape: CacheShape;
  readonly #words: Parameter;
  readonly #bias: Parameter;
  readonly #encoder: nn.Encoder;
  readonly #decoder: BartDecoder;

  constructor(scope: ModuleScope, config: BartConfig) {
    const { vocabSize, hiddenSize, initializerRange } = config;
    const model = scope.child("model");
    this.special = config.special;
    this.limits = { vocabSize, maxLength: config.maxPositions };
    this.cacheShape = { layers: config.decoder.layers, width: hiddenSize };
    this.#words = model.table("shared", vocabSize, hiddenSize, initializerRange);
    this.#encoder = bartEncoder(model.child("encoder"), this.#words, config);
    this.#decoder = new BartDecoder(model.child("decoder"), this.#words, config);
    this.#bias = scope.constant("final_logits_bias", [vocabSize], "zeros", [1, vocabSize]);
  }

  forward(pass: ForwardPass, batch: SourceTargetBatch): Tensor {
    return this.logits(pass, this.decode(pass, batch.target, this.encode(pass, batch)));
  }

  encode(pass: ForwardPass, source: TokenBatch): readonly AttendedRows[] {
    const rows = nn.uploadPacking(pass, source);
    const hidden = this.#encoder.forward(pass, source, rows);
    const attended = this.#decoder.sourceRows(pass, hidden, rows);
    pass.tape.drop(hidden.buffer);
    return attended;
  }

  decode(pass: ForwardPass, target: TokenBatch, source: readonly AttendedRows[]): Tensor {
    return this.#decoder.forward(pass, target, nn.uploadPacking(pass, target), source);
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
    return ops.topLogProbabilities(pass, { hidden, weight: this.#words, bias: this.#bias }, choice);
  }

  logits(pass: ForwardPass, hidden: Tensor): Tensor {
    return ops.linear(pass, { x: hidden, weight: this.#words, bias: this.#bias }, {});
  }

  loss(pass: ForwardPass, hidden: Tensor, targets: VocabularyTargets): Tensor {
    return ops.vocabularyLoss(
      pass,
      { hidden, weight: this.#words },
      { ...targets, bias: this.#bias },
    );
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
