import type { TokenizerFamily } from "../tokenizer-family.ts";

/** ModernBERT: byte-level BPE, in tokenizer.json alone. */
export const modernBertTokenizer: TokenizerFamily = {
  name: "modernbert",
  special: { pad: "[PAD]", cls: "[CLS]", sep: "[SEP]", unk: "[UNK]" },
};
