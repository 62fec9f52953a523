import { bartTokenizer } from "../../core/text/families/bart.ts";
import { readTokenizer } from "../../core/text/load-tokenizer.ts";
import { tinyBartDir } from "../core/text/fixtures.ts";
import type { TokenizeOptions } from "../../core/model/model-files.ts";

/** How texts become tokens of a tiny BART whose config.json says `rawConfig`. */
export const tinyBartFiles = (rawConfig: TokenizeOptions["rawConfig"]): TokenizeOptions => ({
  tokenizer: readTokenizer(tinyBartDir, bartTokenizer),
  maxLength: 12,
  vocabSize: 271,
  modelConfig: "config.json",
  maxPositions: 64,
  rawConfig,
});
