import { configReader } from "../config-reader.ts";
import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json-file.ts";
import type { AdaLoraAdapter, LoraAdapter, PeftAdapter } from "./peft-adapter.ts";
import { parsePattern, stringList } from "./peft-patterns.ts";
import { adaptedModules } from "./peft-targets.ts";
import { refuseUnsupported } from "./peft-unsupported.ts";

type WithoutTensors<A> = Omit<A, "modules" | "saved">;

/** The content of `adapter_config.json`. */
export type PeftConfig = (AdaLoraConfig | LoraConfig) & {
  readonly modulesToSave: readonly string[];
  readonly bias: AdapterBias;
  /** Whether the adapter adapts the module at a path. */
  readonly isAdapted: (path: string) => boolean;
};

/** Biases that were trained: none, those of adapted layers, or all of the model's. */
export type AdapterBias = (typeof BIASES)[number];

const BIASES = ["none", "lora_only", "all"] as const;

interface AdaLoraConfig extends WithoutTensors<AdaLoraAdapter> {
  /** Mask of each layer by its path; undefined when no layer was pruned. */
  readonly masks: ReadonlyMap<string, readonly boolean[]> | undefined;
}

interface LoraConfig extends WithoutTensors<LoraAdapter> {
  rankOf(path: string): number;
  /** The alpha that gives a layer of this rank the scale alpha / rank. */
  alphaOf(path: string): number;
}

function optionalText(raw: JsonObject, key: string, where: string): string | null {
  const value = raw[key] ?? null;
  if (value === null || typeof value === "string") return value;
  throw errors.config(where, key, "a string or null", value);
}

function parseMasks(
  raw: unknown,
  where: string,
): ReadonlyMap<string, readonly boolean[]> | undefined {
  if (raw === undefined || raw === null) return undefined;
  if (!isJsonObject(raw)) throw errors.config(where, "rank_pattern", "an object of masks", raw);
  return new Map(
    Object.entries(raw).map(([key, mask]) => {
      const isMask = Array.isArray(mask) && mask.every((kept) => typeof kept === "boolean");
      if (!isMask || !key.endsWith(".lora_E")) {
        const rule = `masks of true and false by "<layer>.lora_E"`;
        throw errors.config(where, `rank_pattern.${key}`, rule, mask);
      }
      return [key.slice(0, -".lora_E".length), mask] as const;
    }),
  );
}

function parseLora(raw: JsonObject, where: string): Pick<LoraConfig, "rankOf" | "alphaOf"> {
  const field = configReader(raw, where);
  const rank = field.size("r");
  const alpha = field.number("lora_alpha");
  const stabilized = field.bool("use_rslora", false);
  const rankPattern = parsePattern(raw, "rank_pattern", where);
  const alphaPattern = parsePattern(raw, "alpha_pattern", where);
  const rankOf = (path: string) => rankPattern(path) ?? rank;
  return {
    rankOf,
    // rsLoRA's scale is alpha / sqrt(rank).
    alphaOf: (path) => (alphaPattern(path) ?? alpha) * (stabilized ? Math.sqrt(rankOf(path)) : 1),
  };
}

function parseAdaLora(raw: JsonObject, where: string) {
  const field = configReader(raw, where);
  return {
    alpha: field.number("lora_alpha"),
    initRank: field.size("init_r"),
    targetRank: field.number("target_r"),
    initWarmup: field.count("tinit", 0),
    finalWarmup: field.count("tfinal", 0),
    maskInterval: field.size("deltaT", 1),
    totalSteps: field.size("total_step"),
    beta1: field.number("beta1"),
    beta2: field.number("beta2"),
    regOrthCoef: field.number("orth_reg_weight"),
    masks: parseMasks(raw["rank_pattern"], where),
  };
}

/**
 * Checks and converts an `adapter_config.json` of PEFT type ADALORA or LORA; `where` is its path.
 */
export function parsePeftConfig(raw: JsonObject, where: string): PeftConfig {
  refuseUnsupported(raw, where);
  const field = configReader(raw, where);
  const common = {
    taskType: optionalText(raw, "task_type", where),
    baseModel: optionalText(raw, "base_model_name_or_path", where),
    dropout: field.probability("lora_dropout", 0),
    modulesToSave: stringList(raw, "modules_to_save", where),
    bias: field.oneOf("bias", BIASES, "none"),
    isAdapted: adaptedModules(raw, where),
  };
  return raw["peft_type"] === "ADALORA"
    ? { method: "adalora", ...common, ...parseAdaLora(raw, where) }
    : { method: "lora", ...common, ...parseLora(raw, where) };
}

function adaLoraFields(adapter: AdaLoraAdapter): JsonObject {
  const masks = adapter.modules.map(({ path, mask }) => [`${path}.lora_E`, mask] as const);
  return {
    peft_type: "ADALORA",
    // PEFT ignores r here, and warns when it is not the default.
    r: 8,
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

/**
 * The `adapter_config.json` of an adapter, with sorted keys as in PEFT. It holds the fields that
 * every PEFT since 0.6 knows, so that older versions can read it. `target_modules` lists full
 * paths, because a short name could match a layer that is not adapted.
 */
export function peftConfigJson(
  adapter: PeftAdapter,
  modulesToSave: readonly string[],
  bias: AdapterBias,
): string {
  const fields: JsonObject = {
    auto_mapping: null,
    base_model_name_or_path: adapter.baseModel,
    bias,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_dropout: adapter.dropout,
    modules_to_save: modulesToSave.length > 0 ? modulesToSave : null,
    revision: null,
    target_modules: adapter.modules.map(({ path }) => path),
    task_type: adapter.taskType,
    ...(adapter.method === "adalora" ? adaLoraFields(adapter) : loraFields(adapter)),
  };
  const sorted = Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`;
}
