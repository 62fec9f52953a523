import { errors } from "../errors.ts";
import type { JsonObject } from "./json-file.ts";

const MERGE =
  "merge it in PEFT (merge_and_unload, then save_pretrained) and give the merged model with --model";
const CONVERT = `convert it with PEFT's save_as_lora, or ${MERGE}`;
const PROMPTS = "it trains no weights that a LoRA could hold: nothing converts it";
const INITIAL =
  "save it in PEFT with path_initial_model_for_weight_conversion, which makes it a plain LoRA, or " +
  MERGE;

/** PEFT's types that its `save_as_lora` converts. */
const CONVERTIBLE =
  "C3A DELORA FOURIERFT GRALORA HIRA LOHA LOKR MISS PSOFT RANDLORA SHIRA TINYLORA UNILORA VBLORA VERA WAVEFT".split(
    " ",
  );

/** PEFT's types that are no change of weights. */
const UNMERGEABLE =
  "ADAPTION_PROMPT CARTRIDGE CPT MULTITASK_PROMPT_TUNING POLY PREFIX_TUNING PROMPT_TUNING P_TUNING XLORA".split(
    " ",
  );

/** PEFT's other types: they can be merged into the model. */
const MERGEABLE =
  "ADAMSS BEFT BOFT BONE DEFT FROD GLORA HRA IA3 LILY LN_TUNING OFT OSF PEANUT PVERA ROAD SHADOW SUPERTUNING TRAINABLE_TOKENS".split(
    " ",
  );

/**
 * Fields that change the meaning of the tensors and must be unset, as this program has no such
 * layer, with what to do instead.
 */
const FIELDS: Readonly<Record<string, string>> = {
  use_dora: MERGE,
  use_qalora: `its layers are quantised: ${MERGE}`,
  loftq_config: `LoftQ quantises the model: ${MERGE}`,
  lora_bias: MERGE,
  fan_in_fan_out: "only GPT-2's Conv1D layers need it, which no model here has",
  layer_replication: MERGE,
  trainable_token_indices: MERGE,
  target_parameters: MERGE,
  alora_invocation_tokens: "it is active only after its invocation tokens: nothing converts it",
  use_bdlora: MERGE,
  arrow_config: "it routes between adapters: nothing converts it",
  kasa_config: MERGE,
  monteclora_config: MERGE,
  velora_config: MERGE,
};

/** LoRA initialisations that keep the base weights; the others change them. */
const WEIGHT_PRESERVING_INITS: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  "gaussian",
  "eva",
  "orthogonal",
  "mica",
];

/**
 * Throws E_CONFIG, with what to convert the adapter with, for a PEFT type other than LORA and
 * ADALORA and for an option of those that this program has no layer for.
 */
export function refuseUnsupported(raw: JsonObject, where: string): void {
  const { peft_type: type, init_lora_weights: init } = raw;
  if (type !== "ADALORA" && type !== "LORA") {
    throw errors.config(where, "peft_type", `"ADALORA" or "LORA"`, type, remedyOf(type));
  }
  for (const [key, remedy] of Object.entries(FIELDS)) {
    if (!isUnset(raw[key])) throw errors.config(where, key, "unset", raw[key], remedy);
  }
  if (WEIGHT_PRESERVING_INITS.includes(init)) return;
  const want = "an initialisation that keeps the base weights";
  const remedy = init === "loftq" ? FIELDS["loftq_config"] : INITIAL;
  throw errors.config(where, "init_lora_weights", want, init, remedy);
}

/** The remedy for a tensor that is not of a linear layer; undefined for any other tensor. */
export function tensorRemedy(name: string): string | undefined {
  if (/\.lora_embedding_[AB]$/.test(name)) return `an adapted embedding: ${MERGE}`;
  if (/\.lora_magnitude_vector(?:\.weight)?$/.test(name)) return `DoRA: ${MERGE}`;
  if (name.endsWith(".lora_B.bias")) return `lora_bias: ${MERGE}`;
  if (/\.token_adapter\./.test(name)) return `trainable tokens: ${MERGE}`;
  return undefined;
}

// --- internal ---

const isUnset = (value: unknown) =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === "object" && Object.keys(value).length === 0);

function remedyOf(type: unknown): string | undefined {
  if (typeof type !== "string") return undefined;
  if (CONVERTIBLE.includes(type)) return CONVERT;
  if (UNMERGEABLE.includes(type)) return PROMPTS;
  return MERGEABLE.includes(type) ? MERGE : undefined;
}
