import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { debertaTokenizer, debertaTokenizerJson } from "../../../core/text/families/deberta.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { nativeFromJson } from "../../../core/text/native-tokenizer.ts";
import { parseSentencePiece } from "../../../core/text/sentencepiece.ts";
import type { TokenIds } from "../../../core/text/tokenizer.ts";
import { tinyDir, tinyExpected, withFolder } from "../../core/text/fixtures.ts";
import { sentencePieceBytes } from "../../core/text/protobuf-writer.ts";

const tokenizer = await loadTokenizer(tinyDir, debertaTokenizer);
const spmBytes = readFileSync(join(tinyDir, "spm.model"));

const plain = ({ ids, typeIds }: TokenIds) => ({ ids: [...ids], typeIds: [...typeIds] });

describe("a tokenizer built from spm.model, against transformers 4.57", () => {
  test("ids, offsets and special tokens of single texts", async () => {
    for (const { text, ...want } of tinyExpected.singles) {
      const [window, ...rest] = await tokenizer.windows({ text });
      expect(rest).toEqual([]);
      expect({ text, ...window, ids: [...window!.ids], typeIds: [...window!.typeIds] }).toEqual({
        text,
        ...want,
        offsets: want.offsets.map(([start, end]) => [start, end]),
        sequences: [...want.sequences],
        ids: [...want.ids],
        typeIds: [...want.typeIds],
      });
    }
    expect(tinyExpected.singles.length).toBeGreaterThan(15);
  });

  test("many inputs at once, singles and pairs mixed, come back in order", async () => {
    const { singles, pairs } = tinyExpected;
    const want = [...pairs.slice(0, 1), ...singles, ...pairs.slice(0, 1)];
    // more than one chunk of the library's
    const inputs = Array.from({ length: 300 }, () => want).flat();
    const got = await tokenizer.encode(inputs);
    expect(got.length).toBe(inputs.length);
    for (const [i, tokens] of got.entries()) {
      const { ids, typeIds } = want[i % want.length]!;
      expect(plain(tokens)).toEqual({ ids: [...ids], typeIds: [...typeIds] });
    }
  });

  test("pairs cut to a maximum length, by every rule", async () => {
    for (const { text, pair, maxLength, cut = "longest", ...want } of tinyExpected.pairs) {
      const [tokens] = await tokenizer.encode([{ text, pair }], { maxLength, truncation: cut });
      expect({ maxLength, cut, ...plain(tokens!) }).toEqual({
        maxLength,
        cut,
        ids: [...want.ids],
        typeIds: [...want.typeIds],
      });
      const [window] = await tokenizer.windows({ text, pair }, { maxLength, truncation: cut });
      expect(window!.offsets).toEqual(want.offsets);
      expect(window!.sequences).toEqual(want.sequences);
    }
  });

  test("windows over a long text", async () => {
    for (const { text, pair, maxLength, stride, windows } of tinyExpected.windows) {
      const input = pair === null ? { text } : { text, pair };
      const got = await tokenizer.windows(input, { maxLength, stride, truncation: "second" });
      expect(got.map((window) => [...window.ids])).toEqual(windows.map(({ ids }) => [...ids]));
      expect(got.map(({ offsets }) => offsets)).toEqual(windows.map(({ offsets }) => offsets));
      expect(got.map(({ sequences }) => sequences)).toEqual(windows.map((w) => w.sequences));
    }
  });

  test("ids back to text", async () => {
    for (const { ids, text, ...options } of tinyExpected.decoded) {
      expect(await tokenizer.decode(ids, options)).toBe(text);
    }
  });

  test("its tokenizer.json is transformers', and the library holds all of it", async () => {
    const json = debertaTokenizerJson(parseSentencePiece(spmBytes, "spm.model"), "spm.model");
    const shorten = (key: string, value: unknown) =>
      (key === "vocab" && Array.isArray(value)) ||
      (key === "precompiled_charsmap" && typeof value === "string")
        ? value.length
        : value;
    expect(JSON.parse(JSON.stringify(json, shorten))).toEqual(tinyExpected.tokenizerJson);
    await withFolder({}, async (dir) => {
      const path = join(dir, "tokenizer.json");
      (await nativeFromJson(json, "spm.model")).native.save(path);
      expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(JSON.parse(JSON.stringify(json)));
    });
  });

  test("tokenizer_config.json can ask for lower case and split punctuation", async () => {
    const { text, ids } = tinyExpected.lowerAndPunctuation;
    const config = JSON.stringify({ do_lower_case: true, split_by_punct: true });
    await withFolder({ "spm.model": spmBytes, "tokenizer_config.json": config }, async (dir) => {
      const [tokens] = await (await loadTokenizer(dir, debertaTokenizer)).encode([{ text }]);
      expect([...tokens!.ids]).toEqual([...ids]);
    });
  });
});

describe("the tokenizer's properties", () => {
  test("[MASK] counts, behind the pieces", () => {
    expect(tokenizer.vocabSize).toBe(357);
    expect(tokenizer.tokenOf(356)).toBe("[MASK]");
    expect(tokenizer.tokenOf(357)).toBeUndefined();
    expect(tokenizer.specialIds).toEqual({ pad: 0, cls: 1, sep: 2, unk: 3 });
    expect(tokenizer.specialCount).toEqual({ single: 2, pair: 3 });
  });

  test("without special tokens", async () => {
    const inputs = [{ text: "the moon" }, { text: "the", pair: "moon" }];
    const [single, pair] = await tokenizer.encode(inputs, { addSpecialTokens: false });
    expect([...single!.ids]).toEqual([261, 263, 308]);
    expect(plain(pair!)).toEqual({ ids: [261, 263, 308], typeIds: [0, 0, 1] });
  });

  test("a maximum below the special tokens leaves the text uncut, as in transformers", async () => {
    const [tokens] = await tokenizer.encode([{ text: "the moon" }], { maxLength: 1 });
    expect([...tokens!.ids]).toEqual([1, 261, 263, 308, 2]);
  });

  test("a stride that no window can hold is an error, not the end of the process", async () => {
    const input = { text: "dog?", pair: "the cat looked at the moon and the man" };
    const windows = tokenizer.windows(input, { maxLength: 12, stride: 11, truncation: "second" });
    await expect(windows).rejects.toThrow("the stride must be smaller");
    const tight = tokenizer.windows(input, { maxLength: 12, stride: 6, truncation: "second" });
    await expect(tight).rejects.toThrow("the stride must be smaller");
  });

  test("overlapping calls with other limits don't disturb each other", async () => {
    const text = "the cat looked at the moon";
    const lengths = [3, 5, 8, 4];
    const results = await Promise.all(
      lengths.map((maxLength) => tokenizer.encode([{ text }], { maxLength })),
    );
    expect(results.map(([tokens]) => tokens!.ids.length)).toEqual(lengths);
  });
});

test("a model without DeBERTa's special tokens is an error that names the first", () => {
  const spm = parseSentencePiece(
    sentencePieceBytes({
      pieces: [
        ["[PAD]", 0, 3],
        ["<s>", 0, 3],
      ],
    }),
    "x",
  );
  expect(() => debertaTokenizerJson(spm, "dir/spm.model")).toThrow(
    'dir/spm.model: the sentencepiece model has no piece "[CLS]"',
  );
});
