import { configReader } from "../config-reader.ts";
import { errors } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json-file.ts";
import type { AdaLoraAdapter, LoraAdapter } from "./peft-adapter.ts";
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
    revision: optionalText(raw, "revision", where),
    dropout: field.probability("lora_dropout", 0),
    modulesToSave: stringList(raw, "modules_to_save", where),
    bias: field.oneOf("bias", BIASES, "none"),
    isAdapted: adaptedModules(raw, where),
  };
  return raw["peft_type"] === "ADALORA"
    ? { method: "adalora", ...common, ...parseAdaLora(raw, where) }
    : { method: "lora", ...common, ...parseLora(raw, where) };
}
