/** What a plugin imports from "adalora": everything that a model family is made of. */
export type { Buffer } from "../backend.ts";
export { configReader } from "../config-reader.ts";
export { errors } from "../errors.ts";
export type { ForwardPass } from "../forward-pass.ts";
export type { Packing, Sequences } from "../kernels/attention.ts";
export type { ActivationKind } from "../kernels/elementwise.ts";
export type { RotaryTables } from "../kernels/rotary.ts";
export {
  type AttendedRows,
  type DecodeStep,
  definePlugin,
  type GenerationModel,
  type HeadKind,
  type Model,
  type ModelLimits,
  type ModelPlugin,
  type SpecialIds,
  type TaskHead,
  type VocabularyTargets,
} from "../model/plugin.ts";
export type { CacheShape, KeyValueCache } from "../nn/key-value-cache.ts";
export type { ModuleScope } from "../nn/module-scope.ts";
export type { TokenBatch } from "../nn/packed-batch.ts";
export type { SourceTargetBatch } from "../nn/source-target-batch.ts";
export type { PaddedQueries, PaddingRows } from "../ops/padding-rows.ts";
export type { TokenChoice, TopTokens } from "../ops/top-log-probabilities.ts";
export type { Parameter, Tensor } from "../tensor.ts";
export type { TokenizerFamily } from "../text/tokenizer-family.ts";
export * as nn from "./nn.ts";
export * as ops from "./ops.ts";
export * as tokenizers from "./tokenizers.ts";
