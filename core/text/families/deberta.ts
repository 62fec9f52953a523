import { errors } from "../../errors.ts";
import { parseSentencePiece, pieceType, type SentencePieceModel } from "../sentencepiece.ts";
import type { TokenizerFamily } from "../tokenizer-family.ts";
import {
  specialToken,
  type AddedTokenJson,
  type TokenizerJson,
  type UnigramJson,
} from "../tokenizer-json.ts";

const special = { pad: "[PAD]", cls: "[CLS]", sep: "[SEP]", unk: "[UNK]" } as const;
const mask = "[MASK]";
const specialNames: ReadonlySet<string> = new Set([...Object.values(special), mask]);

/** Options of `tokenizer_config.json`; both are off in every released checkpoint. */
export interface DebertaTokenizerOptions {
  readonly lowerCase?: boolean;
  readonly splitByPunctuation?: boolean;
}

/** DeBERTa v2 and v3: a sentencepiece unigram model in `spm.model`. */
export const debertaTokenizer: TokenizerFamily = {
  name: "deberta",
  special,
  convert: {
    files: ["spm.model"],
    build([file], config) {
      const { path, bytes } = file ?? { path: "spm.model", bytes: new Uint8Array() };
      return debertaTokenizerJson(parseSentencePiece(bytes, path), path, {
        lowerCase: config["do_lower_case"] === true,
        splitByPunctuation: config["split_by_punct"] === true,
      });
    },
  },
};

/**
 * The fast tokenizer of a DeBERTa sentencepiece model, as transformers 4.57 converts it
 * (DebertaV2TokenizerFast): the conversion the released models were trained with.
 *
 * Differs from sentencepiece itself: no byte fallback, the character map is applied per grapheme,
 * and `[MASK]` follows the pieces. `where` names the file in errors. Throws E_FILE when a special
 * token is no piece of the model.
 */
export function debertaTokenizerJson(
  spm: SentencePieceModel,
  where: string,
  { lowerCase = false, splitByPunctuation = false }: DebertaTokenizerOptions = {},
): TokenizerJson {
  const { pieces, scores, unkId } = spm;
  for (const token of Object.values(special)) {
    if (!pieces.includes(token)) {
      const hint = "a DeBERTa v2 or v3 checkpoint's spm.model holds [PAD], [CLS], [SEP] and [UNK]";
      throw errors.file(where, `the sentencepiece model has no piece "${token}"`, hint);
    }
  }
  const model: UnigramJson = {
    type: "Unigram",
    unk_id: unkId,
    vocab: pieces.map((piece, id) => [piece, scores[id] ?? 0]),
    byte_fallback: false,
  };
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(spm),
    normalizer: normalizer(spm.charsmap, lowerCase),
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: splitByPunctuation
        ? [{ type: "Punctuation", behavior: "Isolated" }, metaspace]
        : [metaspace],
    },
    post_processor: template(pieces.indexOf(special.cls), pieces.indexOf(special.sep)),
    decoder: metaspace,
    model,
  };
}

/** Pieces that are matched in the raw text, in id order, and `[MASK]`. */
function addedTokens({ pieces, types }: SentencePieceModel): AddedTokenJson[] {
  const added: AddedTokenJson[] = [];
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id]!;
    const isControl = types[id] === pieceType.control;
    const isSpecial = isControl || specialNames.has(piece);
    if (!isSpecial && types[id] !== pieceType.userDefined) continue;
    // only [UNK] is matched in the normalized text
    added.push(specialToken(id, piece, { normalized: piece === special.unk, special: isSpecial }));
  }
  if (!pieces.includes(mask)) {
    added.push(specialToken(pieces.length, mask, { normalized: false }));
  }
  return added;
}

function normalizer(charsmap: Uint8Array, lowerCase: boolean): object {
  const steps: object[] = lowerCase ? [{ type: "Lowercase" }] : [];
  steps.push({ type: "Strip", strip_left: true, strip_right: true });
  if (charsmap.length > 0) {
    const bytes = Buffer.from(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
    steps.push({ type: "Precompiled", precompiled_charsmap: bytes.toString("base64") });
  }
  steps.push({ type: "Replace", pattern: { Regex: " {2,}" }, content: " " });
  return { type: "Sequence", normalizers: steps };
}

/** `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, type 1 from B on. */
function template(clsId: number, sepId: number): object {
  const token = (id: string, typeId: number) => ({ SpecialToken: { id, type_id: typeId } });
  const text = (id: string, typeId: number) => ({ Sequence: { id, type_id: typeId } });
  const single = [token(special.cls, 0), text("A", 0), token(special.sep, 0)];
  const entry = (name: string, id: number) => ({ id: name, ids: [id], tokens: [name] });
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, text("B", 1), token(special.sep, 1)],
    special_tokens: {
      [special.cls]: entry(special.cls, clsId),
      [special.sep]: entry(special.sep, sepId),
    },
  };
}
