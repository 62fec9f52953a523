import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { debertaTokenizer, debertaTokenizerJson } from "../../../core/text/families/deberta.ts";
import {
  buildTokenizer,
  checkVocabulary,
  readTokenizer,
  tokenizerFingerprint,
} from "../../../core/text/load-tokenizer.ts";
import { parseSentencePiece } from "../../../core/text/sentencepiece.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { tinyDir, withFolder } from "./fixtures.ts";

const spm = readFileSync(join(tinyDir, "spm.model"));
const json = debertaTokenizerJson(parseSentencePiece(spm, "spm.model"), "spm.model");
const text = "the cat looked at the moon";

async function idsIn(dir: string): Promise<number[]> {
  const [tokens] = await (await loadTokenizer(dir, debertaTokenizer)).encode([{ text }]);
  return [...tokens!.ids];
}

describe("the files of a tokenizer", () => {
  test("tokenizer.json gives what spm.model gives", async () => {
    await withFolder({ "tokenizer.json": JSON.stringify(json) }, async (dir) => {
      expect(await idsIn(dir)).toEqual(await idsIn(tinyDir));
    });
  });

  test("tokenizer.json takes precedence over spm.model", async () => {
    const lower = {
      ...json,
      normalizer: { type: "Replace", pattern: { String: "moon" }, content: "cat" },
    };
    const files = { "tokenizer.json": JSON.stringify(lower), "spm.model": spm };
    await withFolder(files, async (dir) => {
      const tokenizer = await loadTokenizer(dir, debertaTokenizer);
      expect(tokenizer.source).toBe(join(dir, "tokenizer.json"));
      const ids = await idsIn(dir);
      expect(ids.filter((id) => tokenizer.tokenOf(id) === "▁cat").length).toBe(2);
    });
  });

  test("truncation and padding in tokenizer.json are ignored", async () => {
    const truncation = { direction: "Right", max_length: 4, strategy: "LongestFirst", stride: 0 };
    const padding = {
      strategy: { Fixed: 40 },
      direction: "Right",
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: "[PAD]",
    };
    const files = { "tokenizer.json": JSON.stringify({ ...json, truncation, padding }) };
    await withFolder(files, async (dir) => {
      expect(await idsIn(dir)).toEqual(await idsIn(tinyDir));
    });
  });

  test("a folder without any is an error that lists the names tried", async () => {
    await withFolder({ "vocab.json": "{}" }, async (dir) => {
      await expect(loadTokenizer(dir, debertaTokenizer)).rejects.toThrow(
        `${dir}: holds no tokenizer: looked for tokenizer.json, then spm.model`,
      );
      await expect(loadTokenizer(dir, bartTokenizer)).rejects.toThrow(
        "looked for tokenizer.json, then vocab.json with merges.txt",
      );
      await expect(loadTokenizer(join(dir, "none"), debertaTokenizer)).rejects.toThrow(
        "the tokenizer's folder does not exist",
      );
    });
  });
});

describe("special tokens", () => {
  test("tokenizer_config.json names them, as text or as an object", async () => {
    const config = { pad_token: { content: "[UNK]" }, cls_token: "[SEP]", sep_token: null };
    const files = { "spm.model": spm, "tokenizer_config.json": JSON.stringify(config) };
    await withFolder(files, async (dir) => {
      const { specialIds } = await loadTokenizer(dir, debertaTokenizer);
      expect(specialIds).toEqual({ pad: 3, cls: 2, sep: 2, unk: 3 });
    });
  });

  test("one missing from the vocabulary is an error", async () => {
    const files = { "tokenizer.json": JSON.stringify(json) };
    await withFolder(files, async (dir) => {
      await expect(loadTokenizer(dir, bartTokenizer)).rejects.toThrow(
        `${join(dir, "tokenizer.json")}: the tokenizer has no special token "<pad>"`,
      );
    });
  });
});

describe("broken files are errors that name the file", () => {
  const damagedMap = { type: "Precompiled", precompiled_charsmap: "AAAA/////w==" };
  test.each([
    [
      "tokenizer.json",
      '{"version": "1.0", ',
      /tokenizer\.json: cannot be used as a tokenizer: .* at line 1/,
    ],
    [
      "tokenizer.json",
      '{"version": "1.0"}',
      /tokenizer\.json: cannot be used as a tokenizer: Model missing/,
    ],
    ["tokenizer.json", "", /tokenizer\.json: cannot be used as a tokenizer: an empty file/],
    [
      "tokenizer.json",
      "<!DOCTYPE html><html>",
      /tokenizer\.json: cannot be used as a tokenizer: an HTML page/,
    ],
    // the library itself would end the process
    [
      "tokenizer.json",
      JSON.stringify({ ...json, normalizer: damagedMap }),
      /tokenizer\.json: cannot be used as a tokenizer: its character map of 7 bytes is truncated/,
    ],
    [
      "spm.model",
      spm.subarray(0, 3000),
      /spm\.model: not a complete sentencepiece model: byte \d+/,
    ],
    ["tokenizer_config.json", "[]", /tokenizer_config\.json: must be a JSON object/],
  ] as const)("%s", async (name, content, message) => {
    await withFolder({ [name]: content }, async (dir) => {
      await expect(loadTokenizer(dir, debertaTokenizer)).rejects.toThrow(message);
    });
  });
});

describe("a source", () => {
  test("is built only once", async () => {
    const source = readTokenizer(tinyDir, debertaTokenizer);
    expect(await buildTokenizer(source)).toBe(await buildTokenizer(source));
    expect(await buildTokenizer(readTokenizer(tinyDir, debertaTokenizer))).not.toBe(
      await buildTokenizer(source),
    );
  });

  test("has a fingerprint that depends on its files and settings, not on its location", async () => {
    const fingerprint = (files: Record<string, string | Uint8Array>) =>
      withFolder(files, async (dir) => tokenizerFingerprint(readTokenizer(dir, debertaTokenizer)));
    const same = await fingerprint({ "spm.model": spm });
    expect(same).toMatch(/^[0-9a-f]{64}$/);
    expect(same).toBe(tokenizerFingerprint(readTokenizer(tinyDir, debertaTokenizer)));
    const flipped = Uint8Array.from(spm);
    flipped[2000] = (flipped[2000] ?? 0) ^ 1;
    expect(await fingerprint({ "spm.model": flipped })).not.toBe(same);
    const config = JSON.stringify({ do_lower_case: true });
    expect(await fingerprint({ "spm.model": spm, "tokenizer_config.json": config })).not.toBe(same);
  });

  test("has a fingerprint that depends on the version of the conversion, where it is converted", async () => {
    const versioned = (version: string) => {
      const { convert } = debertaTokenizer;
      if (!convert) throw new Error("DeBERTa's tokenizer converts");
      return { ...debertaTokenizer, convert: { ...convert, version } };
    };
    const fingerprint = (dir: string, version: string) =>
      tokenizerFingerprint(readTokenizer(dir, versioned(version)));
    expect(fingerprint(tinyDir, "a")).not.toBe(fingerprint(tinyDir, "b"));
    await withFolder({ "tokenizer.json": "{}" }, async (dir) =>
      expect(fingerprint(dir, "a")).toBe(fingerprint(dir, "b")),
    );
  });
});

test("a vocabulary larger than the model's is an error with both sizes", async () => {
  const tokenizer = await loadTokenizer(tinyDir, debertaTokenizer);
  expect(checkVocabulary(tokenizer, 357, "m/config.json")).toBeUndefined();
  expect(() => checkVocabulary(tokenizer, 356, "m/config.json")).toThrow(
    `${join(tinyDir, "spm.model")}: the tokenizer's 357 tokens do not fit the model: "vocab_size" in m/config.json is 356`,
  );
});
