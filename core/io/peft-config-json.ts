import type { JsonObject } from "./json-file.ts";
import type { AdaLoraAdapter, LoraAdapter, PeftAdapter } from "./peft-adapter.ts";
import type { AdapterBias } from "./peft-config.ts";

/** The version of PEFT whose fields `peftConfigJson` writes. */
const PEFT_VERSION = "0.21.2";

function adaLoraFields(adapter: AdaLoraAdapter): JsonObject {
  const masks = adapter.modules.map(({ path, mask }) => [`${path}.lora_E`, mask] as const);
  return {
    peft_type: "ADALORA",
    // PEFT ignores r here, and warns when it is not the default.
    r: 8,
    alpha_pattern: {},
    lora_alpha: adapter.alpha,
    init_r: adapter.initRank,
    target_r: adapter.targetRank,
    tinit: adapter.initWarmup,
    tfinal: adapter.finalWarmup,
    deltaT: adapter.maskInterval,
    total_step: adapter.totalSteps,
    beta1: adapter.beta1,
    beta2: adapter.beta2,
    orth_reg_weight: adapter.regOrthCoef,
    rank_pattern: Object.fromEntries(masks),
  };
}

function loraFields({ modules }: LoraAdapter): JsonObject {
  const ranks = modules.map(({ path, A }) => [path, A.shape[0] ?? 0] as const);
  const alphas = modules.map(({ path, alpha }) => [path, alpha] as const);
  const [rank, alpha] = [ranks[0]?.[1] ?? 0, alphas[0]?.[1] ?? 0];
  const exceptions = (pairs: readonly (readonly [string, number])[], common: number) =>
    pairs.every(([, value]) => value === common) ? {} : Object.fromEntries(pairs);
  return {
    peft_type: "LORA",
    r: rank,
    lora_alpha: alpha,
    rank_pattern: exceptions(ranks, rank),
    alpha_pattern: exceptions(alphas, alpha),
  };
}

/** Fields of PEFT's configuration that never differ from their defaults here. */
const DEFAULTS: JsonObject = {
  alora_invocation_tokens: null,
  arrow_config: null,
  auto_mapping: null,
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_bias: false,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: "megatron.core",
  monteclora_config: null,
  peft_version: PEFT_VERSION,
  qalora_group_size: 16,
  target_parameters: null,
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
  velora_config: null,
};

/**
 * The `adapter_config.json` of an adapter: every field that PEFT 0.21 writes, with sorted keys as
 * there. `target_modules` lists full paths, because a short name could match a layer that is not
 * adapted.
 */
export function peftConfigJson(
  adapter: PeftAdapter,
  modulesToSave: readonly string[],
  bias: AdapterBias,
): string {
  const fields: JsonObject = {
    ...DEFAULTS,
    base_model_name_or_path: adapter.baseModel,
    bias,
    lora_dropout: adapter.dropout,
    modules_to_save: modulesToSave.length > 0 ? modulesToSave : null,
    revision: adapter.revision ?? null,
    target_modules: adapter.modules.map(({ path }) => path),
    task_type: adapter.taskType,
    ...(adapter.method === "adalora" ? adaLoraFields(adapter) : loraFields(adapter)),
  };
  const sorted = Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`;
}
