import type { TokenizerJson } from "./tokenizer-json.ts";

/** The texts of a family's special tokens. */
export interface SpecialTokens {
  readonly pad: string;
  readonly cls: string;
  readonly sep: string;
  readonly unk: string;
}

/** The content of a file, with its path for error messages. */
export interface TokenizerFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The settings in `tokenizer_config.json`; an empty object when there is none. */
export type TokenizerConfig = Readonly<Record<string, unknown>>;

/** How a model family tokenizes text: part of its plugin's declaration. */
export interface TokenizerFamily {
  readonly name: string;
  /** Used where the checkpoint's `tokenizer_config.json` names none. */
  readonly special: SpecialTokens;
  /** Builds a tokenizer from vocabulary files when the checkpoint has no `tokenizer.json`. */
  readonly convert?: {
    readonly files: readonly string[];
    /** Distinguishes tokenizers that other versions of `build` make of the same files. */
    readonly version?: string;
    /** `files` are in the order of the list above. Throws E_FILE when they can't be used. */
    build(files: readonly TokenizerFile[], config: TokenizerConfig): TokenizerJson;
  };
}
