import { configReader } from "../config-reader.ts";
import { errors } from "../errors.ts";

/** Decoding options, named as in transformers' GenerationConfig. Lengths count the start token. */
export interface GenerationOptions {
  /** Beams per source; 1 decodes greedily. Default 1. */
  readonly numBeams: number;
  /** Hypotheses returned per source, at most `numBeams`. Default 1. */
  readonly numReturnSequences: number;
  /** Default 21, or the number of positions of the model if smaller. */
  readonly maxLength: number;
  /** End tokens are banned below this length. Default 0. */
  readonly minLength: number;
  /** No n-gram of this size occurs twice in a hypothesis; 0, the default, allows all. */
  readonly noRepeatNgramSize: number;
  /** Above 1, tokens that a hypothesis already contains become less likely. Default 1. */
  readonly repetitionPenalty: number;
  /**
   * Beam score = sum of log-probabilities / (tokens after the start token)^lengthPenalty. Default
   * 1.
   */
  readonly lengthPenalty: number;
  /**
   * When beam search stops. true: at `numBeams` finished hypotheses. false, the default: once the
   * best running hypothesis, scored at its current length, can't beat the worst finished one.
   * "never": once it can't at its most favourable length, which is `maxLength` where lengthPenalty
   * is above 0.
   */
  readonly earlyStopping: boolean | "never";
  /** First token of every hypothesis: decoder_start_token_id, else bos_token_id. */
  readonly startId: number;
  /** Each of them ends a hypothesis: eos_token_id. */
  readonly endIds: readonly number[];
  /** Forced as the first token after the start token; null, the default, forces none. */
  readonly forcedBosId: number | null;
  /** One of them is forced as the last token at `maxLength`; none by default. */
  readonly forcedEosIds: readonly number[];
}

/**
 * Overrides of a checkpoint's options. Numbers of new tokens don't count the start token, and
 * override lengths.
 */
export type GenerationOverrides = {
  readonly [K in keyof GenerationOptions]?: GenerationOptions[K] | undefined;
} & {
  readonly maxNewTokens?: number | undefined;
  readonly minNewTokens?: number | undefined;
};

type Json = Readonly<Record<string, unknown>>;

/** New tokens where neither the checkpoint nor the caller sets a length. */
const DEFAULT_NEW_TOKENS = 20;

/**
 * Resolves a checkpoint's options and the caller's overrides as transformers 5 does: from
 * generation_config.json alone where it exists, else from config.json, where older checkpoints keep
 * the same keys. config, generation: the contents of these files.
 *
 * One difference: the caller's `maxLength` overrides the checkpoint's max_new_tokens, and
 * `minLength` likewise. Throws E_CONFIG for a value out of range, and for an unsupported setting
 * that would change the output, such as sampling.
 */
export function generationOptions(
  config: Json,
  generation: Json | undefined,
  overrides: GenerationOverrides = {},
): GenerationOptions {
  const source = generation === undefined ? "config.json" : "generation_config.json";
  const raw = generation ?? config;
  refuseUnsupported(raw, source);
  const positions = configReader(config, "config.json").size("max_position_embeddings", 1024);
  const found = checkpointOptions(raw, source, positions);
  const { maxNewTokens, minNewTokens, ...rest } = overrides;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const options = {
    ...found,
    ...given,
    ...(maxNewTokens !== undefined && { maxLength: maxNewTokens + 1 }),
    ...(minNewTokens !== undefined && { minLength: minNewTokens + 1 }),
  };
  checkRanges(options, source);
  return options;
}

function checkpointOptions(raw: Json, source: string, positions: number): GenerationOptions {
  const read = configReader(raw, source);
  const optional = (key: string) => (raw[key] == null ? undefined : read.int(key));
  const newTokens = (key: string) => {
    const count = optional(key);
    return count === undefined ? undefined : count + 1;
  };
  const bos = optional("bos_token_id");
  const start = optional("decoder_start_token_id") ?? bos;
  if (start === undefined)
    throw errors.config(source, "decoder_start_token_id", "an id, or bos_token_id be one", start);
  // The oldest spelling, in config.json only.
  const forcedBos = raw["force_bos_token_to_be_generated"] === true ? bos : undefined;
  return {
    numBeams: read.int("num_beams", 1),
    numReturnSequences: read.int("num_return_sequences", 1),
    maxLength:
      newTokens("max_new_tokens") ??
      optional("max_length") ??
      Math.min(DEFAULT_NEW_TOKENS + 1, positions),
    minLength: newTokens("min_new_tokens") ?? read.int("min_length", 0),
    noRepeatNgramSize: read.int("no_repeat_ngram_size", 0),
    repetitionPenalty: read.number("repetition_penalty", 1),
    lengthPenalty: read.number("length_penalty", 1),
    earlyStopping: earlyStopping(raw, source),
    startId: start,
    endIds: idsOf(raw, "eos_token_id", source),
    forcedBosId: forcedBos ?? optional("forced_bos_token_id") ?? null,
    forcedEosIds: idsOf(raw, "forced_eos_token_id", source),
  };
}

function earlyStopping(raw: Json, source: string): boolean | "never" {
  const value = raw["early_stopping"] ?? false;
  if (typeof value === "boolean" || value === "never") return value;
  throw errors.config(source, "early_stopping", 'true, false or "never"', value);
}

/** One id, a list of them, or none. */
function idsOf(raw: Json, key: string, source: string): readonly number[] {
  const value: unknown = raw[key] ?? [];
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.map((id) => {
    if (typeof id === "number" && Number.isInteger(id) && id >= 0) return id;
    throw errors.config(source, key, "an id or a list of ids", value);
  });
}

/** Unsupported keys that change the output, and their neutral values. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  do_sample: [false],
  num_beam_groups: [1],
  diversity_penalty: [0],
  penalty_alpha: [0],
  constraints: [],
  force_words_ids: [],
  bad_words_ids: [],
  sequence_bias: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  encoder_no_repeat_ngram_size: [0],
  encoder_repetition_penalty: [1],
  exponential_decay_length_penalty: [],
  guidance_scale: [1],
  renormalize_logits: [false],
  stop_strings: [],
  max_time: [],
};

function refuseUnsupported(raw: Json, source: string): void {
  for (const [key, neutral] of Object.entries(UNSUPPORTED)) {
    const value = raw[key];
    if (value == null || neutral.includes(value)) continue;
    const rule = neutral.length === 0 ? "absent" : `${String(neutral[0])} or absent`;
    throw errors.config(source, key, `${rule}: only greedy and beam search are supported`, value);
  }
}

/** Valid range of each number. */
const RANGES: readonly (readonly [
  option: keyof GenerationOptions,
  key: string,
  rule: string,
  isValid: (value: number, options: GenerationOptions) => boolean,
])[] = [
  ["numBeams", "num_beams", "a whole number above 0", (n) => isWhole(n) && n > 0],
  [
    "numReturnSequences",
    "num_return_sequences",
    "a whole number from 1 to num_beams",
    (n, { numBeams }) => isWhole(n) && n > 0 && n <= numBeams,
  ],
  ["maxLength", "max_length", "a whole number above 1", (n) => isWhole(n) && n > 1],
  ["minLength", "min_length", "a whole number", (n) => isWhole(n) && n >= 0],
  ["noRepeatNgramSize", "no_repeat_ngram_size", "a whole number", (n) => isWhole(n) && n >= 0],
  ["repetitionPenalty", "repetition_penalty", "a number above 0", (x) => x > 0],
  ["lengthPenalty", "length_penalty", "a number", (x) => Number.isFinite(x)],
];

const isWhole = (value: number) => Number.isInteger(value);

function checkRanges(options: GenerationOptions, source: string): void {
  for (const [option, key, rule, isValid] of RANGES) {
    const value = options[option];
    if (typeof value !== "number" || !isValid(value, options))
      throw errors.config(source, key, rule, value);
  }
}
