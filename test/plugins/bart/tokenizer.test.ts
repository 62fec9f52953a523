import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { tinyBartDir, tinyBartExpected, withFolder } from "../../core/text/fixtures.ts";

const tokenizer = await loadTokenizer(tinyBartDir, bartTokenizer);
const vocab = readFileSync(join(tinyBartDir, "vocab.json"), "utf8");

describe("a tokenizer built from vocab.json and merges.txt, against transformers 4.57", () => {
  test("single texts: offsets without the space before a word, <mask> with it", async () => {
    for (const { text, ...want } of tinyBartExpected.singles) {
      const [window] = await tokenizer.windows({ text });
      expect([...window!.ids]).toEqual([...want.ids]);
      expect(window!.offsets).toEqual(want.offsets);
      expect(window!.sequences).toEqual(want.sequences);
    }
  });

  test("pairs have two separators and one type", async () => {
    for (const { text, pair, maxLength, ...want } of tinyBartExpected.pairs) {
      const [window] = await tokenizer.windows({ text, pair }, { maxLength });
      expect([...window!.ids]).toEqual([...want.ids]);
      expect([...window!.typeIds]).toEqual([...want.typeIds]);
      expect(window!.offsets).toEqual(want.offsets);
    }
    expect(tokenizer.specialCount).toEqual({ single: 2, pair: 4 });
  });

  test("ids back to text: bytes that are no UTF-8 become U+FFFD", async () => {
    for (const { ids, text, ...options } of tinyBartExpected.decoded) {
      expect(await tokenizer.decode(ids, options)).toBe(text);
    }
  });
});

describe("files that can't be used", () => {
  test.each([
    ["a cut vocabulary", "{", "t h\n", /vocab\.json: is not JSON: /],
    ["a list", "[]", "t h\n", /vocab\.json: must be a JSON object, got \[\]/],
    [
      "an id in quotes",
      '{"<s>": "0"}',
      "",
      /vocab\.json: the id of "<s>" must be a whole number, got "0"/,
    ],
    ["no special tokens", '{"a": 0}', "", /vocab\.json: the vocabulary has no token "<pad>"/],
    [
      "a merge of three",
      vocab,
      "#version\nt h\nth e x\n",
      /merges\.txt:3: a merge is two parts separated by a space: got "th e x"/,
    ],
    [
      "a merge of unknown tokens",
      vocab,
      "#version\nq zz\n",
      /vocab\.json: cannot be used as a tokenizer: /,
    ],
  ])("%s is an error that names the place", async (_what, vocabText, merges, message) => {
    await withFolder({ "vocab.json": vocabText, "merges.txt": merges }, async (dir) => {
      await expect(loadTokenizer(dir, bartTokenizer)).rejects.toThrow(message);
    });
  });
});
