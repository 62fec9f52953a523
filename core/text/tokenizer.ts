import type { Truncation } from "./truncation.ts";

/** A text, or a pair of texts that the model reads as one input. */
export interface TextInput {
  readonly text: string;
  readonly pair?: string | undefined;
}

/** A tokenized input, special tokens included. */
export interface TokenIds {
  /** [T]. */
  readonly ids: Int32Array;
  /**
   * [T], the segment of each token: 1 from the second text of a pair on, in families that use
   * segments.
   */
  readonly typeIds: Int32Array;
}

/** A tokenized input of which the end may be cut off. */
export interface EncodedInput extends TokenIds {
  /** Tokens before truncation, special ones included. */
  readonly fullLength: number;
}

/** A window of an input, with the source of each token. */
export interface TokenWindow extends TokenIds {
  /**
   * [T], start and end of each token in its own text, in Unicode code points (not UTF-16 units);
   * [0, 0] for special tokens.
   */
  readonly offsets: readonly (readonly [start: number, end: number])[];
  /** [T]: 0 first text, 1 second text, null special token. */
  readonly sequences: readonly (0 | 1 | null)[];
}

/** Options of `encode`. */
export interface EncodeOptions {
  /**
   * Tokens, special ones included. No truncation, as in transformers, when not even the special
   * tokens fit.
   */
  readonly maxLength?: number;
  /** Default "longest". */
  readonly truncation?: Truncation;
  /** Default true. */
  readonly addSpecialTokens?: boolean;
}

/** Options of `windows`. */
export interface WindowOptions extends EncodeOptions {
  /**
   * Tokens that neighbouring windows share; for a pair, `truncation` must then name the text that
   * is split. Without a stride there is one window, truncated like `encode`.
   */
  readonly stride?: number;
}

/** Options of `decode`. */
interface DecodeOptions {
  /** Default true. */
  readonly skipSpecialTokens?: boolean;
  /**
   * Removes spaces before punctuation and English contractions. Default false, as in transformers
   * 4.57.
   */
  readonly cleanUpSpaces?: boolean;
}

/**
 * Converts text to ids and back; built by `buildTokenizer`. Calls keep no state and may overlap.
 */
export interface Tokenizer {
  /** Path of the file that it was built from. */
  readonly source: string;
  /** Size of the vocabulary with all added tokens; every id is smaller. */
  readonly vocabSize: number;
  readonly specialIds: {
    readonly pad: number;
    readonly cls: number;
    readonly sep: number;
    readonly unk: number;
  };
  /** Number of special tokens around a single text and around a pair; maxLength must exceed it. */
  readonly specialCount: { readonly single: number; readonly pair: number };
  /**
   * One result per input, in order. Fast on many inputs: the library uses all cores. Throws
   * E_TOKENIZE, see `truncate`.
   */
  encode(inputs: readonly TextInput[], options?: EncodeOptions): Promise<EncodedInput[]>;
  /**
   * One input as overlapping windows, with offsets. Throws E_TOKENIZE when the windows can't hold
   * the stride.
   */
  windows(input: TextInput, options?: WindowOptions): Promise<TokenWindow[]>;
  /** The text of some ids. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): Promise<string>;
  /** The vocabulary entry of an id. */
  tokenOf(id: number): string | undefined;
}
