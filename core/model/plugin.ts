import type { Sequences } from "../backend.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { CacheShape, KeyValueCache } from "../nn/key-value-cache.ts";
import type { ModuleScope } from "../nn/module-scope.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { SourceTargetBatch } from "../nn/source-target-batch.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";
import type { TokenChoice, TopTokens } from "../ops/top-log-probabilities.ts";
import type { Tensor } from "../tensor.ts";
import type { TokenizerFamily } from "../text/tokenizer-family.ts";

/** Ids are below `vocabSize`; sequences have at most `maxLength` tokens. */
export interface ModelLimits {
  readonly vocabSize: number;
  readonly maxLength: number;
}

/** What a model is built for. `labels` is the width of its output. */
export interface TaskHead {
  readonly task: Task;
  readonly labels: number;
  /** What padded positions attend to, where the span loss counts them. */
  readonly paddedQueries?: PaddedQueries;
  /** Overrides of the checkpoint's own dropout probabilities; undefined keeps them. */
  readonly dropout?: {
    readonly hidden?: number;
    readonly attention?: number;
    readonly head?: number;
  };
}

export type Task = SequenceTask | "span" | "generation";

/** Tasks with one output for a whole sequence. */
export type SequenceTask = "classification" | "regression";

/** A built model. Its parameters were declared on the scope that `build` was given. */
export interface Model {
  /** Logits of a packed batch: [B, labels], or [N, 2] for spans, or those of each target row for generation. */
  forward(pass: ForwardPass, batch: TokenBatch): Tensor;
}

/** Packed rows, as keys and values that others attend to: k, v [M, width]. */
export interface AttendedRows {
  readonly k: Tensor;
  readonly v: Tensor;
  readonly rows: Sequences;
}

/** The newest token of each of N running hypotheses; hypotheses of one source are adjacent. */
export interface DecodeStep {
  /** [N] */
  readonly ids: Int32Array;
  /** Position of these tokens in their hypotheses, the same for all. */
  readonly position: number;
  /** One sequence per source: the rows of its running hypotheses, possibly none. */
  readonly hypotheses: Sequences;
}

/** Ids of the tokens that start, pad and end a target. */
export interface SpecialIds {
  readonly start: number;
  readonly pad: number;
  readonly end: number;
}

/** Labels of target rows. */
export interface VocabularyTargets {
  /** [N], `ignoredLabel` where the loss leaves a row out. */
  readonly labels: Int32Array;
  /** Label smoothing: the share of each label spread over the vocabulary. */
  readonly smoothing: number;
}

/** A model built for the task "generation": an encoder of sources and a decoder of targets. */
export interface GenerationModel extends Model {
  readonly special: SpecialIds;
  readonly limits: ModelLimits;
  /** Logits of every target row, [N, V]; for small N only. */
  forward(pass: ForwardPass, batch: SourceTargetBatch): Tensor;
  /** Encodes sources: the cross-attention keys and values of each decoder layer. */
  encode(pass: ForwardPass, source: TokenBatch): readonly AttendedRows[];
  /** Hidden states of whole targets, [N, C]. */
  decode(pass: ForwardPass, target: TokenBatch, source: readonly AttendedRows[]): Tensor;
  /** What `decodeStep` caches per token. */
  readonly cacheShape: CacheShape;
  /**
   * Hidden states of the newest token of each hypothesis, [N, C]. `cache` holds the earlier tokens
   * and has room for this one. A source's keys and values serve all its hypotheses.
   */
  decodeStep(
    pass: ForwardPass,
    step: DecodeStep,
    source: readonly AttendedRows[],
    cache: KeyValueCache,
  ): Tensor;
  /** The most likely next tokens for hidden states [N, C]. */
  topTokens(pass: ForwardPass, hidden: Tensor, choice: TokenChoice): TopTokens;
  /** Logits of hidden states: [N, C] to [N, V]. */
  logits(pass: ForwardPass, hidden: Tensor): Tensor;
  /** Mean loss of hidden states, [1], without materialising all logits at once. */
  loss(pass: ForwardPass, hidden: Tensor, targets: VocabularyTargets): Tensor;
}

/** Whether a built model can generate: narrows it by its methods. */
export function isGenerationModel(model: Model): model is GenerationModel {
  return "encode" in model && "decodeStep" in model && "loss" in model;
}

/** What a model family must say about itself. Data first; two functions; no lifecycle. */
export interface ModelPlugin<Config extends object = object> {
  readonly name: string;
  /** Values of config.json's "model_type" that it handles. */
  readonly modelTypes: readonly string[];
  readonly tasks: readonly Task[];
  parseConfig(raw: Readonly<Record<string, unknown>>): Config;
  /** Sizes that the rest of the program needs to check data against a model. */
  limits(config: Config): ModelLimits;
  build(config: Config, head: TaskHead, scope: ModuleScope): Model;
  readonly weights: {
    /** Path of the backbone's modules; a checkpoint of the bare backbone has its keys without it. */
    readonly prefix: string;
    /** Old or foreign key names, rewritten in order before they are looked up. */
    readonly rename: readonly (readonly [RegExp, string])[];
    /** Keys that are known and not needed. */
    readonly ignore: readonly RegExp[];
    /** Parameters that a pre-trained checkpoint may lack: they start from their fill. */
    readonly optional: readonly RegExp[];
  };
  readonly adapters: {
    /** The reference's short module names, as patterns over module paths. */
    readonly modules: Readonly<Record<string, RegExp>>;
    /** What is written before a short name, as patterns over module paths, where a layer has several modules of that name. */
    readonly prefixes: Readonly<Record<string, RegExp>>;
    /** Parameters trained in full beside the adapters. */
    readonly trainable: readonly RegExp[];
    /** Modules of the head by the names that PEFT saves them under. */
    readonly saved: readonly string[];
  };
  readonly tokenizer: TokenizerFamily;
}

/** Identity at run time: it is here for inference and for one place to document a plugin. */
export function definePlugin<Config extends object>(
  plugin: ModelPlugin<Config>,
): ModelPlugin<Config> {
  return plugin;
}
