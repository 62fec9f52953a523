import { errors } from "../../errors.ts";
import { excerpt } from "../../excerpt.ts";
import { decodeUtf8, parseJsonObject } from "../../io/json-file.ts";
import type { TokenizerFamily, TokenizerFile } from "../tokenizer-family.ts";
import { idsIn, specialToken, type TokenizerJson } from "../tokenizer-json.ts";

const special = { pad: "<pad>", cls: "<s>", sep: "</s>", unk: "<unk>" } as const;
const mask = "<mask>";

/** BART: byte-level BPE in `vocab.json` and `merges.txt`. */
export const bartTokenizer: TokenizerFamily = {
  name: "bart",
  special,
  convert: {
    files: ["vocab.json", "merges.txt"],
    build([vocabFile, mergesFile]) {
      const missing = { path: "vocab.json", bytes: new Uint8Array() };
      const vocab = parseVocab(vocabFile ?? missing);
      const merges = parseMerges(mergesFile ?? missing);
      return bartTokenizerJson(vocab, merges, vocabFile?.path ?? missing.path);
    },
  },
};

/**
 * The fast tokenizer of a byte-level BPE vocabulary, as transformers 4.57 converts it
 * (BartTokenizerFast).
 */
function bartTokenizerJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly (readonly [string, string])[],
  where: string,
): TokenizerJson {
  const idOf = idsIn(vocab, where);
  const added = Object.values(special).map((token) =>
    specialToken(idOf(token), token, { normalized: true }),
  );
  // <mask> includes the space before it, so that "a <mask>" has no separate space
  added.push(specialToken(idOf(mask), mask, { normalized: true, lstrip: true }));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.toSorted((a, b) => a.id - b.id),
    normalizer: null,
    pre_tokenizer: byteLevel(false),
    post_processor: {
      type: "RobertaProcessing",
      sep: [special.sep, idOf(special.sep)],
      cls: [special.cls, idOf(special.cls)],
      trim_offsets: true,
      add_prefix_space: false,
    },
    decoder: byteLevel(true),
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

const byteLevel = (addPrefixSpace: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: addPrefixSpace,
  trim_offsets: true,
  use_regex: true,
});

function parseVocab({ path, bytes }: TokenizerFile): Record<string, number> {
  const entries = Object.entries(parseJsonObject(decodeUtf8(bytes, path), path));
  const ids = entries.map(([token, id]) => {
    if (typeof id === "number" && Number.isInteger(id) && id >= 0) return [token, id] as const;
    const rule = `the id of ${excerpt(token)} must be a whole number, got ${excerpt(id)}`;
    throw errors.file(path, rule);
  });
  return Object.fromEntries(ids);
}

/** One merge a line, the two parts separated by a space; the first line is a version comment. */
function parseMerges({ path, bytes }: TokenizerFile): [string, string][] {
  const lines = decodeUtf8(bytes, path).split(/\r?\n/);
  const merges: [string, string][] = [];
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line === "") continue;
    const [left, right, ...rest] = line.split(" ");
    if (left === undefined || right === undefined || rest.length > 0) {
      throw errors.file(
        `${path}:${i + 1}`,
        `a merge is two parts separated by a space: got ${excerpt(line)}`,
      );
    }
    merges.push([left, right]);
  }
  return merges;
}
