import type { TokenizerFamily } from "../tokenizer-family.ts";

/** BERT and DistilBERT: WordPiece. */
export const bertTokenizer: TokenizerFamily = {
  name: "bert",
  special: { pad: "[PAD]", cls: "[CLS]", sep: "[SEP]", unk: "[UNK]" },
};
