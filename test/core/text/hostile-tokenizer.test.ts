import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AdaloraError } from "../../../core/errors.ts";
import { checkVocabulary } from "../../../core/text/load-tokenizer.ts";
import { isPlainRegex } from "../../../core/text/plain-regex.ts";
import { parseSentencePiece } from "../../../core/text/sentencepiece.ts";
import { inspectTokenizer } from "../../../core/text/tokenizer-check.ts";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { debertaTokenizer, debertaTokenizerJson } from "../../../core/text/families/deberta.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { tinyDir, withFolder } from "./fixtures.ts";
import { bytesField, floatField, pieceField, sentencePieceBytes } from "./protobuf-writer.ts";

ownCache();

const spm = readFileSync(join(tinyDir, "spm.model"));
const json = debertaTokenizerJson(parseSentencePiece(spm, "spm.model"), "spm.model");
const { charsmap: map } = parseSentencePiece(spm, "spm.model");
const charsmap = Buffer.from(map).toString("base64");
const template = { ...json.post_processor };

const replace = (pattern: object, content: string) => ({ type: "Replace", pattern, content });
const sequence = (...normalizers: object[]) => ({ type: "Sequence", normalizers });
const split = (pattern: object) => ({
  type: "Split",
  pattern,
  behavior: "Isolated",
  invert: false,
});
const added = (content: string, normalized: boolean) => ({
  id: 999,
  content,
  normalized,
  special: false,
  single_word: false,
  lstrip: false,
  rstrip: false,
});

/** Each of these ended the process, hung, or filled the memory. */
const HOSTILE: readonly [what: string, change: object, message: RegExp][] = [
  [
    "a template of an unknown token",
    { post_processor: { ...template, special_tokens: {} } },
    /its template names the unknown token "\[CLS\]"/,
  ],
  [
    "a single template of two texts",
    { post_processor: { ...template, single: [{ Sequence: { id: "B", type_id: 0 } }] } },
    /its template for A holds the texts \["B"\]/,
  ],
  [
    "a regular expression that backtracks",
    { normalizer: replace({ Regex: "(x+x+)+y" }, "") },
    /its pattern "\(x\+x\+\)\+y" may take exponential time/,
  ],
  [
    "a split that backtracks",
    { pre_tokenizer: split({ Regex: "(x+x+)+y" }) },
    /may take exponential time/,
  ],
  [
    "a split in quadratic time",
    { pre_tokenizer: split({ Regex: "[x]+y" }) },
    /reading it takes too long for its size \(it has a step of type "Split"\)/,
  ],
  [
    "a chain that doubles a text 24 times",
    { normalizer: sequence(...Array.from({ length: 24 }, () => replace({ String: "t" }, "tt"))) },
    /its steps may make a text 16777216 times as long/,
  ],
  ["32 nested chains", { normalizer: nested(32) }, /times as long/],
  [
    "an added token that normalisation empties",
    { added_tokens: [...json.added_tokens, added("   ", true)] },
    /reading it crashes the library \(it has an added token " {3}" that is normalized\)/,
  ],
  [
    "an added token of 20,000 characters",
    { added_tokens: [added("a".repeat(20_000), false)] },
    /an added token has 20000 characters/,
  ],
  [
    "a damaged map under an escaped name",
    { normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA/////w==" } },
    /its character map of 7 bytes is truncated/,
  ],
  [
    "a map in damaged base64",
    { normalizer: { type: "Precompiled", precompiled_charsmap: `${charsmap}*` } },
    /its character map is not base64/,
  ],
  ["no map", { normalizer: { type: "Precompiled" } }, /its character map is not base64/],
  ["words of any length", { model: wordPiece(1e9) }, /it splits words of up to 1000000000/],
  [
    "too many steps",
    { normalizer: sequence(...Array.from({ length: 1000 }, () => ({ type: "NFC" }))) },
    /it has 10\d\d steps, at most 100/,
  ],
];

function nested(depth: number): object {
  const inner = depth === 0 ? [] : [nested(depth - 1)];
  return sequence(replace({ String: "t" }, "tt"), ...inner);
}

function wordPiece(longest: number) {
  const vocab = { "[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, a: 4, "[MASK]": 5 };
  const rest = { unk_token: "[UNK]", continuing_subword_prefix: "##" };
  return { type: "WordPiece", vocab, max_input_chars_per_word: longest, ...rest };
}

async function load(text: string) {
  return withFolder({ "tokenizer.json": text }, (dir) => loadTokenizer(dir, debertaTokenizer));
}

async function failureOf(text: string): Promise<AdaloraError> {
  const error: unknown = await load(text).catch((reason: unknown) => reason);
  if (error instanceof AdaloraError) return error;
  throw new Error("not refused", { cause: error });
}

for (const [what, change, message] of HOSTILE) {
  test(`a tokenizer.json with ${what} is refused in one line`, async () => {
    const escaped = JSON.stringify({ ...json, ...change }).replace(
      '"precompiled_charsmap"',
      String.raw`"precompiled_charsm\u0061p"`,
    );
    const error = await failureOf(escaped);
    expect(error.message).toMatch(message);
    expect(error.message).toContain("tokenizer.json: cannot be used as a tokenizer: ");
    expect(error.message.split("\n")).toHaveLength(1);
  }, 60_000);
}

test("a key that occurs twice is refused: the library might read the other one", async () => {
  const text = JSON.stringify(json).replace('"normalizer":', '"normalizer":null,"normalizer":');
  expect((await failureOf(text)).message).toContain('it has the key "normalizer" twice');
});

test("text that is no JSON never reaches the library, which acts before it finds that out", async () => {
  const damaged = { normalizer: { type: "Precompiled", precompiled_charsmap: "" } };
  const text = `${JSON.stringify(damaged).slice(0, -1)},\n"x": !}`;
  expect((await failureOf(text)).message).toContain(
    "cannot be used as a tokenizer: no JSON at line 2",
  );
});

test("a file nested too deep is refused", async () => {
  const text = `{"normalizer":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  expect((await failureOf(text)).message).toContain("nested deeper than");
});

test("an unusual but sound tokenizer is tried in a process of its own, and then works", async () => {
  const unusual = { ...json, normalizer: replace({ String: "moon" }, "moonlight") };
  const tokenizer = await load(JSON.stringify(unusual));
  const [tokens] = await tokenizer.encode([{ text: "the moon" }]);
  expect(tokens?.ids.length).toBeGreaterThan(4);
});

test("what the families' own tokenizers have needs no try", () => {
  expect(inspectTokenizer({ ...json }).unusual).toBeUndefined();
  expect(inspectTokenizer({ ...json, model: wordPiece(100) }).unusual).toBeUndefined();
});

test("a vocabulary with a hole has the size of its highest id", async () => {
  const { vocab, ...model } = wordPiece(100);
  const holed = { ...json, model: { ...model, vocab: { ...vocab, a: 4_000_000_000 } } };
  const changes = { post_processor: null, normalizer: null, pre_tokenizer: null, added_tokens: [] };
  const tokenizer = await load(JSON.stringify({ ...holed, ...changes }));
  expect(() => checkVocabulary(tokenizer, 1000, "config.json")).toThrow("4000000001 tokens");
});

test("a template's id that the vocabulary lacks is refused", async () => {
  const tokens = { "[CLS]": { id: "[CLS]", ids: [4_000_000_000], tokens: ["[CLS]"] } };
  const old = Reflect.get(template, "special_tokens");
  const post = { ...template, special_tokens: { ...old, ...tokens } };
  const { message } = await failureOf(JSON.stringify({ ...json, post_processor: post }));
  expect(message).toContain("adds the token 4000000000, which its vocabulary lacks");
});

test("an error of the library while encoding names the file", async () => {
  const model = { ...json.model, unk_id: null };
  const tokenizer = await load(JSON.stringify({ ...json, model }));
  await expect(tokenizer.encode([{ text: "漢" }])).rejects.toThrow(
    "tokenizer.json: the tokenizer fails: Encountered an unknown token",
  );
});

test("a token named like a method of objects is no token", async () => {
  const files = { "vocab.json": "{}", "merges.txt": "#version: 0.2\n" };
  await withFolder(files, async (dir) => {
    await expect(loadTokenizer(dir, bartTokenizer)).rejects.toThrow("has no token");
  });
});

test("regular expressions: those of published tokenizers are plain, backtracking ones are not", () => {
  const gpt2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
  for (const plain of [" {2,}", gpt2, "[0-9]{1,3}", String.raw`\s+|\w`, "a(b|c)?d*", "[a[b]]+"]) {
    expect(isPlainRegex(plain)).toBe(true);
  }
  const wild = ["(a+)+", "(a|a)*", "a*a*b", "a?".repeat(20), "(?<x>a)", String.raw`(a)\1`, "[a"];
  for (const pattern of [...wild, "a{1,999}b{1,999}", "(ab){9}", "(?>a)", "(|a)".repeat(20)]) {
    expect(isPlainRegex(pattern)).toBe(false);
  }
});

test("a sentencepiece model: numbers of another kind, empty, repeated and endless pieces", () => {
  const vocabulary = ["a", "b"].map((piece) => [piece, -1] as const);
  const [pieces, normalizer] = [vocabulary.map((piece) => pieceField(...piece)), bytesField(3, [])];
  for (const value of [Number.NaN, -1, 0.5, 1e9]) {
    // A float is no unk_id: the field keeps its default.
    const bytes = [...pieces.flat(), ...bytesField(2, floatField(40, value)), ...normalizer];
    expect(parseSentencePiece(Uint8Array.from(bytes), "spm.model").unkId).toBe(0);
  }
  const faults = [
    [["", "b"], "piece 0 is empty"],
    [["b", "b"], 'piece 1 repeats "b"'],
    [["b", "c".repeat(1001)], "piece 1 has 1001 characters"],
  ] as const;
  for (const [names, fault] of faults) {
    const bytes = sentencePieceBytes({ pieces: names.map((name) => [name, -1]) });
    expect(() => parseSentencePiece(bytes, "spm.model")).toThrow(fault);
  }
});
