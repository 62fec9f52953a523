import type { Truncation } from "./truncation.ts";

/** A text, or a pair of texts that the model sees as one input. */
export interface TextInput {
  readonly text: string;
  readonly pair?: string | undefined;
}

/** An input as the model reads it, special tokens included. */
export interface TokenIds {
  /** [T]. */
  readonly ids: Int32Array;
  /** [T], the segment of each token: 1 from a pair's second text on, in the families that use it. */
  readonly typeIds: Int32Array;
}

/** A window on an input that knows where each token comes from. */
export interface TokenWindow extends TokenIds {
  /** [T], of a token's own text: start and end in Unicode code points (not UTF-16 units); [0, 0] for special tokens. */
  readonly offsets: readonly (readonly [start: number, end: number])[];
  /** [T]: 0 first text, 1 second text, null special token. */
  readonly sequences: readonly (0 | 1 | null)[];
}

export interface EncodeOptions {
  /** Tokens, special ones included. Left uncut, as in transformers, when not even the special tokens fit. */
  readonly maxLength?: number;
  /** Default "longest". */
  readonly truncation?: Truncation;
  /** Default true. */
  readonly addSpecialTokens?: boolean;
}

export interface WindowOptions extends EncodeOptions {
  /**
   * Tokens that neighbouring windows share; of a pair, `cut` must then say which text is split into windows.
   * Without a stride there is one window, cut as `encode` cuts.
   */
  readonly stride?: number;
}

interface DecodeOptions {
  /** Default true. */
  readonly skipSpecialTokens?: boolean;
  /** Removes spaces before punctuation and English contractions. Default false, as in transformers 4.57. */
  readonly cleanUpSpaces?: boolean;
}

/** Text to ids and back; built by `loadTokenizer`. Calls keep no state and may overlap. */
export interface Tokenizer {
  /** The file it was made from. */
  readonly source: string;
  /** Ids are below this: the vocabulary with all added tokens. */
  readonly vocabSize: number;
  readonly specialIds: {
    readonly pad: number;
    readonly cls: number;
    readonly sep: number;
    readonly unk: number;
  };
  /** How many special tokens stand around one text, and around a pair: maxLength must be above it. */
  readonly specialCount: { readonly single: number; readonly pair: number };
  /** One result an input, in order. Fast on many: the library uses every core. Throws E_TOKENIZE, see `truncate`. */
  encode(inputs: readonly TextInput[], options?: EncodeOptions): Promise<TokenIds[]>;
  /** One input in overlapping windows, with offsets. Throws E_TOKENIZE when the windows can't hold the stride. */
  windows(input: TextInput, options?: WindowOptions): Promise<TokenWindow[]>;
  decode(ids: ArrayLike<number>, options?: DecodeOptions): Promise<string>;
  /** The vocabulary's string for an id. */
  tokenOf(id: number): string | undefined;
}
