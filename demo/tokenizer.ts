import { specialToken } from "../core/text/tokenizer-json.ts";
import { words } from "./words.ts";

const specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"];

/** Special tokens, then words; a token's index is its id. */
export const vocabulary: readonly string[] = [...specials, ...words];

/** The demo model's `tokenizer.json`: one token per word, with DeBERTa's template. */
export function demoTokenizerJson(): object {
  const token = (id: string, typeId: number) => ({ SpecialToken: { id, type_id: typeId } });
  const text = (id: string, typeId: number) => ({ Sequence: { id, type_id: typeId } });
  const single = [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)];
  const inTemplate = ["[CLS]", "[SEP]"].map((id) => {
    return [id, { id, ids: [vocabulary.indexOf(id)], tokens: [id] }] as const;
  });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((name, id) => specialToken(id, name, { normalized: false })),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, text("B", 1), token("[SEP]", 1)],
      special_tokens: Object.fromEntries(inTemplate),
    },
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
      unk_token: "[UNK]",
    },
  };
}
