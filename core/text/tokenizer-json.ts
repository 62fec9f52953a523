import { errors } from "../errors.ts";

/** A token that is matched in the raw text before anything else, in `tokenizer.json`'s format. */
export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A unigram model in `tokenizer.json`'s format. */
export interface UnigramJson {
  readonly type: "Unigram";
  readonly unk_id: number;
  /** Pieces and log-probabilities, in id order. */
  readonly vocab: [string, number][];
  readonly byte_fallback: boolean;
}

/** A byte-pair encoding model in `tokenizer.json`'s format. */
interface BpeJson {
  readonly type: "BPE";
  readonly dropout: null;
  readonly unk_token: null;
  readonly continuing_subword_prefix: string;
  readonly end_of_word_suffix: string;
  readonly fuse_unk: boolean;
  readonly byte_fallback: boolean;
  readonly ignore_merges: boolean;
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
}

/** A WordPiece model in `tokenizer.json`'s format. */
interface WordPieceJson {
  readonly type: "WordPiece";
  readonly unk_token: string;
  readonly continuing_subword_prefix: string;
  /** Longer words are unknown. */
  readonly max_input_chars_per_word: number;
  readonly vocab: Readonly<Record<string, number>>;
}

/** The parts of a `tokenizer.json`. Only the library interprets the steps around the model. */
export interface TokenizerJson {
  readonly version: "1.0";
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly post_processor: object | null;
  readonly decoder: object | null;
  readonly model: UnigramJson | BpeJson | WordPieceJson;
}

/** An added token with the flags shared by the special tokens of the known families. */
export function specialToken(
  id: number,
  content: string,
  flags: { readonly normalized: boolean; readonly lstrip?: boolean; readonly special?: boolean },
): AddedTokenJson {
  const { normalized, lstrip = false, special = true } = flags;
  return { id, content, single_word: false, lstrip, rstrip: false, normalized, special };
}

/** Looks up tokens in a vocabulary of the file `where`; throws E_FILE for one that it lacks. */
export const idsIn =
  (vocab: Readonly<Record<string, number>>, where: string) => (token: string) => {
    const id = Object.hasOwn(vocab, token) ? vocab[token] : undefined;
    if (id === undefined) throw errors.file(where, `the vocabulary has no token "${token}"`);
    return id;
  };
