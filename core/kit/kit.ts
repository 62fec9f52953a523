/** What a plugin imports from "adalora": everything that a model family is made of. */
export { configReader } from "../config-reader.ts";
export { errors } from "../errors.ts";
export type { ForwardPass } from "../forward-pass.ts";
export {
  type DecodeStep,
  definePlugin,
  type GenerationModel,
  type HeadKind,
  type Model,
  type ModelPlugin,
  type TaskHead,
} from "../model/plugin.ts";
export type { ModuleScope } from "../nn/module-scope.ts";
export type { TokenBatch } from "../nn/packed-batch.ts";
export type { Parameter, Tensor } from "../tensor.ts";
export type { TokenizerFamily } from "../text/tokenizer-family.ts";
export * as nn from "./nn.ts";
export * as ops from "./ops.ts";
export * as tokenizers from "./tokenizers.ts";
