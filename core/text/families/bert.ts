import { decodeUtf8 } from "../../io/json-file.ts";
import { specialTokenNames } from "../special-tokens.ts";
import type { TokenizerConfig, TokenizerFamily, TokenizerFile } from "../tokenizer-family.ts";
import { idsIn, specialToken, type TokenizerJson } from "../tokenizer-json.ts";

const special = { pad: "[PAD]", cls: "[CLS]", sep: "[SEP]", unk: "[UNK]" } as const;

/** BERT, DistilBERT and most encoders after them: WordPiece in `vocab.txt`. */
export const bertTokenizer: TokenizerFamily = {
  name: "bert",
  special,
  convert: {
    files: ["vocab.txt"],
    build([file], config) {
      const { path, bytes } = file ?? { path: "vocab.txt", bytes: new Uint8Array() };
      return bertTokenizerJson(parseVocab({ path, bytes }), path, config);
    },
  },
};

/**
 * The fast tokenizer of a WordPiece vocabulary, as transformers converts it (BertTokenizerFast).
 * Reads do_lower_case, strip_accents, tokenize_chinese_chars and the special tokens of
 * tokenizer_config.json. Throws E_FILE when the vocabulary lacks a special token.
 */
function bertTokenizerJson(
  vocab: Readonly<Record<string, number>>,
  where: string,
  config: TokenizerConfig,
): TokenizerJson {
  const names = specialTokenNames(special, config);
  const mask = specialTokenNames({ mask: "[MASK]" }, config).mask;
  const idOf = idsIn(vocab, where);
  const added = [...new Set(Object.values(names))].map((token) =>
    specialToken(idOf(token), token, { normalized: false }),
  );
  if (Object.hasOwn(vocab, mask) && !Object.values(names).includes(mask))
    added.push(specialToken(idOf(mask), mask, { normalized: false }));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.toSorted((a, b) => a.id - b.id),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: config["tokenize_chinese_chars"] !== false,
      strip_accents: stripAccents(config),
      lowercase: config["do_lower_case"] !== false,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: template(names, idOf),
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: names.unk,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** null: as do_lower_case, as in the original BERT. */
function stripAccents({ strip_accents: value }: TokenizerConfig): boolean | null {
  return typeof value === "boolean" ? value : null;
}

/** [CLS] A [SEP], and with a second text B [SEP] of segment 1. */
function template(
  { cls, sep }: { readonly cls: string; readonly sep: string },
  idOf: (token: string) => number,
) {
  const token = (id: string, segment: number) => ({ SpecialToken: { id, type_id: segment } });
  const text = (id: "A" | "B", segment: number) => ({ Sequence: { id, type_id: segment } });
  const single = [token(cls, 0), text("A", 0), token(sep, 0)];
  const entry = (name: string) => [name, { id: name, ids: [idOf(name)], tokens: [name] }] as const;
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, text("B", 1), token(sep, 1)],
    special_tokens: Object.fromEntries([entry(cls), entry(sep)]),
  };
}

/** One token a line, whose id is its line's index; of a repeated token the last counts. */
function parseVocab({ path, bytes }: TokenizerFile): Readonly<Record<string, number>> {
  const lines = decodeUtf8(bytes, path).split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return Object.fromEntries(lines.map((token, id) => [token, id]));
}
