import { configReader } from "../config-reader.ts";
import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json-file.ts";
import type { AdaLoraAdapter, LoraAdapter } from "./peft-adapter.ts";
import { parsePattern } from "./peft-patterns.ts";

type WithoutTensors<A> = Omit<A, "modules" | "saved">;

/** The content of `adapter_config.json`. */
export type PeftConfig = (AdaLoraConfig | LoraConfig) & {
  readonly modulesToSave: readonly string[];
};

interface AdaLoraConfig extends WithoutTensors<AdaLoraAdapter> {
  /** Mask of each layer by its path; undefined when no layer was pruned. */
  readonly masks: ReadonlyMap<string, readonly boolean[]> | undefined;
}

interface LoraConfig extends WithoutTensors<LoraAdapter> {
  rankOf(path: string): number;
  /** The alpha that gives a layer of this rank the scale alpha / rank. */
  alphaOf(path: string): number;
}

/**
 * Fields that change the meaning of the tensors and must be unset, as this program has no such
 * layer.
 */
const UNSUPPORTED_FIELDS = [
  "use_dora",
  "use_qalora",
  "lora_bias",
  "fan_in_fan_out",
  "layer_replication",
  "trainable_token_indices",
  "target_parameters",
  "alora_invocation_tokens",
  "use_bdlora",
  "arrow_config",
  "kasa_config",
  "monteclora_config",
];

/**
 * LoRA initialisations that keep the base weights; the others (PiSSA, OLoRA, CorDA) change them.
 */
const WEIGHT_PRESERVING_INITS: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  "gaussian",
  "eva",
  "orthogonal",
];

const isUnset = (value: unknown) =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === "object" && Object.keys(value).length === 0);

function refuseUnsupported(raw: JsonObject, where: string): void {
  for (const key of UNSUPPORTED_FIELDS) {
    if (!isUnset(raw[key])) throw errors.config(where, key, "unset", raw[key]);
  }
  const { bias, init_lora_weights: init } = raw;
  if (bias !== undefined && bias !== "none") throw errors.config(where, "bias", `"none"`, bias);
  if (!WEIGHT_PRESERVING_INITS.includes(init)) {
    throw errors.config(
      where,
      "init_lora_weights",
      "an initialisation that keeps the base weights",
      init,
    );
  }
}

function optionalText(raw: JsonObject, key: string, where: string): string | null {
  const value = raw[key] ?? null;
  if (value === null || typeof value === "string") return value;
  throw errors.config(where, key, "a string or null", value);
}

function stringList(raw: JsonObject, key: string, where: string): readonly string[] {
  const value: unknown = raw[key] ?? [];
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw errors.config(where, key, "a list of names", value);
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
  const { peft_type: type } = raw;
  if (type !== "ADALORA" && type !== "LORA") {
    throw errors.config(where, "peft_type", `"ADALORA" or "LORA"`, type);
  }
  refuseUnsupported(raw, where);
  const common = {
    taskType: optionalText(raw, "task_type", where),
    baseModel: optionalText(raw, "base_model_name_or_path", where),
    revision: optionalText(raw, "revision", where),
    dropout: configReader(raw, where).probability("lora_dropout", 0),
    modulesToSave: stringList(raw, "modules_to_save", where),
  };
  return type === "ADALORA"
    ? { method: "adalora", ...common, ...parseAdaLora(raw, where) }
    : { method: "lora", ...common, ...parseLora(raw, where) };
}
