import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseSentencePiece } from "../../core/text/sentencepiece.ts";
import type { TokenizerFamily } from "../../core/text/tokenizer-family.ts";
import { demoTokenizerJson } from "../../demo/tokenizer.ts";
import { bartTokenizer } from "../../core/text/families/bart.ts";
import { bertTokenizer } from "../../core/text/families/bert.ts";
import { debertaTokenizer, debertaTokenizerJson } from "../../core/text/families/deberta.ts";
import { loadTokenizer } from "../helpers/load-tokenizer.ts";
import type { Kind } from "./mutate.ts";
import type { Seed, Target } from "./target.ts";

const fixtures = join(import.meta.dir, "../fixtures/text");
const bytesOf = (path: string) => readFileSync(join(fixtures, path));
const fixture = (path: string, kind: Kind, name: string): Seed => ({
  bytes: bytesOf(path),
  kind,
  name,
});
const json = (value: object): Seed => ({
  bytes: Buffer.from(JSON.stringify(value)),
  kind: "json",
  name: "tokenizer.json",
});

const TEXTS = [
  "the cat looked at the moon",
  "a  b [MASK][CLS]<mask> <s>  <mask>\n[UNK]é🙂 ﷺ 漢字\u0301 \0 12",
  "",
  "t".repeat(300),
  " ".repeat(50),
];

/** Loads a tokenizer from the folder and uses all of it. */
async function useTokenizer(dir: string, family: TokenizerFamily): Promise<void> {
  const tokenizer = await loadTokenizer(dir, family);
  const inputs = TEXTS.map((text) => ({ text }));
  const encoded = await tokenizer.encode([...inputs, { text: "a", pair: TEXTS[1] }], {
    maxLength: 64,
  });
  await tokenizer.windows({ text: TEXTS[1] ?? "" }, { maxLength: 32, stride: 4 });
  await tokenizer.decode(encoded[1]?.ids ?? []);
}

/** A BERT-like tokenizer: the steps of the third known family. */
function wordPiece() {
  const special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"];
  const words = [...special, "the", "cat", "##s", "a", "b", ...Array.from("moonlked")];
  const token = (id: string, typeId: number) => ({ SpecialToken: { id, type_id: typeId } });
  const text = (id: string, typeId: number) => ({ Sequence: { id, type_id: typeId } });
  const single = [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: id === 3,
      lstrip: id === 4,
      rstrip: id === 2,
      normalized: id > 2,
      special: true,
    })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, text("B", 1), token("[SEP]", 1)],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [1], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [2], tokens: ["[SEP]"] },
      },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries([...new Set(words)].map((word, id) => [word, id])),
    },
  };
}

/** Tokenizers, up to the texts that they encode. */
export const textTargets: readonly Target[] = [
  {
    name: "sentencepiece",
    seeds: () => [fixture("tiny/spm.model", "binary", "spm.model")],
    async read(bytes, { name = "" }, dir) {
      writeFileSync(join(dir, name), bytes);
      await useTokenizer(dir, debertaTokenizer);
    },
  },
  {
    name: "tokenizer.json",
    seeds() {
      const spm = parseSentencePiece(bytesOf("tiny/spm.model"), "spm.model");
      const [vocab, merges] = [bytesOf("tiny-bart/vocab.json"), bytesOf("tiny-bart/merges.txt")];
      const files = [
        { path: "vocab.json", bytes: vocab },
        { path: "merges.txt", bytes: merges },
      ];
      const bart = bartTokenizer.convert?.build(files, {}) ?? {};
      const deberta = debertaTokenizerJson(spm, "spm.model");
      return [json(deberta), json(bart), json(wordPiece()), json(demoTokenizerJson())];
    },
    async read(bytes, { name = "" }, dir) {
      writeFileSync(join(dir, name), bytes);
      const isBart = Buffer.from(bytes).includes("<s>");
      await useTokenizer(dir, isBart ? bartTokenizer : debertaTokenizer);
    },
  },
  {
    name: "BPE files",
    seeds: () => [
      fixture("tiny-bart/vocab.json", "json", "vocab.json"),
      fixture("tiny-bart/merges.txt", "text", "merges.txt"),
    ],
    async read(bytes, { name }, dir) {
      for (const file of ["vocab.json", "merges.txt"]) {
        writeFileSync(join(dir, file), file === name ? bytes : bytesOf(`tiny-bart/${file}`));
      }
      await useTokenizer(dir, bartTokenizer);
    },
  },
  {
    name: "vocab.txt",
    seeds: () => [fixture("tiny-bert/vocab.txt", "text", "vocab.txt")],
    async read(bytes, { name = "" }, dir) {
      writeFileSync(join(dir, name), bytes);
      await useTokenizer(dir, bertTokenizer);
    },
  },
];
