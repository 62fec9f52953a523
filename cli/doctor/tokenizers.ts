import { errors } from "../../core/errors.ts";
import { check, type Finding } from "../../core/finding.ts";
import { nativeFromJson } from "../../core/text/native-tokenizer.ts";
import { specialToken, type TokenizerJson } from "../../core/text/tokenizer-json.ts";

/** Checks the native tokenizer library: builds a tokenizer of two pieces and uses it. */
export function tokenizersFinding(): Promise<Finding> {
  return check("tokenizers", async () => {
    const { native } = await nativeFromJson(twoPieces, "the self-test's tokenizer");
    const { length } = (await native.encode("abab")).getIds();
    if (length === 2) return "the native library splits text correctly";
    throw errors.machine(
      `the native library makes ${length} tokens of 2: it is damaged`,
      "npm run setup",
    );
  });
}

// --- internal ---

const twoPieces: TokenizerJson = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [specialToken(0, "[UNK]", { normalized: false })],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: {
    type: "Unigram",
    unk_id: 0,
    vocab: [
      ["[UNK]", 0],
      ["ab", -1],
    ],
    byte_fallback: false,
  },
};
