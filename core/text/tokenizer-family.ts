import type { TokenizerJson } from "./tokenizer-json.ts";

/** The names that a family gives to its special tokens. */
export interface SpecialTokens {
  readonly pad: string;
  readonly cls: string;
  readonly sep: string;
  readonly unk: string;
}

/** A file that was read, with its path for errors. */
export interface TokenizerFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The settings of `tokenizer_config.json`, an empty object when there is none. */
export type TokenizerConfig = Readonly<Record<string, unknown>>;

/** How a model family's text becomes ids: part of its plugin's declaration. */
export interface TokenizerFamily {
  readonly name: string;
  /** Used where the checkpoint's own `tokenizer_config.json` names none. */
  readonly special: SpecialTokens;
  /** The vocabulary files that a tokenizer is built from where the checkpoint has no `tokenizer.json`. */
  readonly convert?: {
    readonly files: readonly string[];
    /** `files` come in the order of the list above. Throws E_FILE when they can't be used. */
    build(files: readonly TokenizerFile[], config: TokenizerConfig): TokenizerJson;
  };
}
