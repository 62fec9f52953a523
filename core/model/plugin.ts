import type { Sequences } from "../kernels/attention.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { CacheShape, KeyValueCache } from "../nn/key-value-cache.ts";
import type { ModuleScope } from "../nn/module-scope.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { SourceTargetBatch } from "../nn/source-target-batch.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";
import type { TokenChoice, TopTokens } from "../ops/top-log-probabilities.ts";
import type { Tensor } from "../tensor.ts";
import type { TokenizerFamily } from "../text/tokenizer-family.ts";

/** Limits of a model: ids are below `vocabSize`, sequences have at most `maxLength` tokens. */
export interface ModelLimits {
  readonly vocabSize: number;
  readonly maxLength: number;
}

/** The task head to build. `labels` is the width of its output. */
export interface TaskHead {
  readonly task: HeadKind;
  readonly labels: number;
  /** What padded positions attend to, if the span loss includes them. */
  readonly paddedQueries?: PaddedQueries;
  /** Override the checkpoint's dropout probabilities; undefined keeps them. */
  readonly dropout?: {
    readonly hidden?: number;
    readonly attention?: number;
    readonly head?: number;
  };
}

/** The tasks that a model can be built for. */
export type HeadKind = SequenceHeadKind | "span" | "generation";

/** Tasks with one output per sequence. */
export type SequenceHeadKind = "classification" | "regression";

/** A built model. Its parameters are declared on the scope passed to `build`. */
export interface Model {
  /**
   * Logits of a packed batch: [B, labels] for sequence tasks, [N, 2] for spans, [N, V] over the
   * target rows for generation.
   */
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

/** Describes a model family: data and three functions, no lifecycle. */
export interface ModelPlugin<Config extends object = object> {
  readonly name: string;
  /** The values of config.json's "model_type" that this family handles. */
  readonly modelTypes: readonly string[];
  readonly tasks: readonly HeadKind[];
  /** Throws E_CONFIG for a config.json that the family cannot build. */
  parseConfig(raw: Readonly<Record<string, unknown>>): Config;
  /** Limits that data is checked against. */
  limits(config: Config): ModelLimits;
  /** Declares the model's parameters on `scope`; computes nothing. */
  build(config: Config, head: TaskHead, scope: ModuleScope): Model;
  readonly weights: {
    /** Path prefix of the backbone's modules; keys of a bare backbone's checkpoint lack it. */
    readonly prefix: string;
    /** Rewrites of legacy or foreign keys, applied in order before lookup. */
    readonly rename: readonly (readonly [RegExp, string])[];
    /**
     * Keys that some checkpoints store a parameter under once more, with its name. Values that differ
     * from the parameter's are refused: the checkpoint's weights are not tied. Default: none.
     */
    readonly copies?: readonly (readonly [RegExp, string])[];
    /** Known keys that are not needed. */
    readonly ignore: readonly RegExp[];
    /** Parameters that a pretrained checkpoint may lack: they are initialized from their fill. */
    readonly optional: readonly RegExp[];
  };
  readonly adapters: {
    /** Short module names, as in the reference, with patterns over module paths. */
    readonly modules: Readonly<Record<string, RegExp>>;
    /**
     * Prefixes that tell apart modules with the same short name in one layer, with path patterns.
     */
    readonly prefixes: Readonly<Record<string, RegExp>>;
    /** Parameters trained in full alongside the adapters. */
    readonly trainable: readonly RegExp[];
    /** Head modules, by the names that PEFT saves them under. */
    readonly saved: readonly string[];
  };
  readonly tokenizer: TokenizerFamily;
}

/** Returns the plugin unchanged; it exists so that TypeScript infers `Config`. */
export function definePlugin<Config extends object>(
  plugin: ModelPlugin<Config>,
): ModelPlugin<Config> {
  return plugin;
}
