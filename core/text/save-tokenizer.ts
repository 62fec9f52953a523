import { isJsonObject } from "../io/json-file.ts";
import { convertsFiles, type TokenizerSource } from "./load-tokenizer.ts";
import { specialTokenNames } from "./special-tokens.ts";

/** Names of the files that `tokenizerFiles` returns. */
export const savedTokenizerNames = ["tokenizer.json", "tokenizer_config.json"] as const;

/** What transformers reads from `tokenizer_config.json` besides the tokens. */
export interface SavedTokenizerOptions {
  /** Longest sequence of the model, in tokens. */
  readonly maxPositions: number;
  /** Whether the model's inputs have token types. */
  readonly hasTokenTypes: boolean;
}

/**
 * Files from which transformers 4 and 5 make the same ids as this program: `tokenizer.json`, the
 * checkpoint's own or the conversion of its vocabulary, and `tokenizer_config.json`.
 *
 * The class must be PreTrainedTokenizerFast: a family's own class of transformers 5 rebuilds the
 * normalizer, which drops DeBERTa's character map, and only the generic one keeps the file's.
 */
export function tokenizerFiles(
  source: TokenizerSource,
  { maxPositions, hasTokenTypes }: SavedTokenizerOptions,
): ReadonlyMap<string, string | Uint8Array> {
  const { config, family } = source;
  const conversion = conversionOf(source);
  const special = Object.entries(specialTokenNames(family.special, config));
  const tokens = {
    ...(conversion?.mask !== undefined && { mask_token: conversion.mask }),
    ...Object.fromEntries(special.map(([name, text]) => [`${name}_token`, text])),
    ...Object.fromEntries(otherTokens(config)),
  };
  const types = hasTokenTypes ? ["token_type_ids"] : [];
  const settings = {
    ...tokens,
    tokenizer_class: "PreTrainedTokenizerFast",
    model_input_names: ["input_ids", ...types, "attention_mask"],
    model_max_length: maxPositions,
    clean_up_tokenization_spaces: config["clean_up_tokenization_spaces"] === true,
  };
  return new Map<string, string | Uint8Array>([
    ["tokenizer.json", conversion?.text ?? source.files[0].bytes],
    ["tokenizer_config.json", `${JSON.stringify(settings, null, 2)}\n`],
  ]);
}

// --- internal ---

const converted = new WeakMap<TokenizerSource, Converted>();

interface Converted {
  readonly text: string;
  readonly mask: string | undefined;
}

/** A vocabulary's conversion, kept: it takes 0.2 s for DeBERTa v3. Undefined if none is needed. */
function conversionOf(source: TokenizerSource): Converted | undefined {
  const { family, files, config } = source;
  if (!convertsFiles(source) || family.convert === undefined) return undefined;
  const known = converted.get(source);
  if (known) return known;
  const json = family.convert.build(files, config);
  const mask = json.added_tokens.find(({ content }) => /^[<[]mask[>\]]$/i.test(content));
  const result = { text: JSON.stringify(json), mask: mask?.content };
  converted.set(source, result);
  return result;
}

/** Tokens that the checkpoint names and this program does not use. */
function otherTokens(config: TokenizerSource["config"]): (readonly [string, string])[] {
  return ["bos_token", "eos_token", "mask_token"].flatMap((key) => {
    const value = config[key];
    const text = isJsonObject(value) ? value["content"] : value;
    return typeof text === "string" ? [[key, text] as const] : [];
  });
}
