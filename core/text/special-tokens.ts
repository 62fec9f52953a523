import { isJsonObject } from "../io/json-file.ts";
import type { TokenizerConfig } from "./tokenizer-family.ts";

/**
 * The texts of special tokens by name: `cls` is `cls_token` in `tokenizer_config.json`, a text or
 * an object with the text in `content`; the family's where the file names none.
 */
export function specialTokenNames<const Name extends string>(
  family: Readonly<Record<Name, string>>,
  config: TokenizerConfig,
): Readonly<Record<Name, string>> {
  const nameOf = (key: string, fallback: string) => {
    const value = config[`${key}_token`];
    const content = isJsonObject(value) ? value["content"] : value;
    return typeof content === "string" ? content : fallback;
  };
  const names = Object.entries<string>(family).map(([key, own]) => [key, nameOf(key, own)]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of `family`
  return Object.fromEntries(names) as Record<Name, string>;
}
