import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bertTokenizer } from "../../../core/text/families/bert.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { fixtures, withFolder } from "./fixtures.ts";

/** What transformers' BertTokenizerFast returns; see test/oracle/bert-tokenizer.py. */
interface Case {
  readonly config: object;
  readonly rows: readonly {
    readonly text: string;
    readonly pair: string | null;
    readonly ids: readonly number[];
    readonly typeIds: readonly number[];
    /** Null of special tokens, which have [0, 0] here. */
    readonly offsets: readonly (readonly [number, number] | null)[];
  }[];
}

const dir = join(fixtures, "tiny-bert");
const vocab = readFileSync(join(dir, "vocab.txt"), "utf8");
const cases: readonly Case[] = JSON.parse(readFileSync(join(dir, "expected.json"), "utf8"));

const folderOf = (config: object, text = vocab) => ({
  "vocab.txt": text,
  "tokenizer_config.json": JSON.stringify(config),
});

describe("a tokenizer built from vocab.txt, against transformers' BertTokenizerFast", () => {
  for (const { config, rows } of cases)
    test(JSON.stringify(config), () =>
      withFolder(folderOf(config), async (folder) => {
        const tokenizer = await loadTokenizer(folder, bertTokenizer);
        for (const { text, pair, ...want } of rows) {
          const [window] = await tokenizer.windows(pair === null ? { text } : { text, pair });
          const got = { ids: [...window!.ids], typeIds: [...window!.typeIds] };
          expect({ text, ...got, offsets: window!.offsets }).toEqual({
            text,
            ids: [...want.ids],
            typeIds: [...want.typeIds],
            offsets: want.offsets.map((span) => span ?? [0, 0]).map(([a, b]) => [a, b]),
          });
        }
        expect(rows.length).toBeGreaterThan(20);
      }),
    );
});

describe("vocab.txt", () => {
  test("may end its lines as Windows does", () =>
    withFolder(folderOf({}, vocab.replaceAll("\n", "\r\n")), async (folder) => {
      const [tokens] = await (
        await loadTokenizer(folder, bertTokenizer)
      ).encode([{ text: "the time" }]);
      const row = cases[0]?.rows.find(({ pair }) => pair === "a man");
      expect([...tokens!.ids]).toEqual([...(row?.ids.slice(0, 4) ?? [])]);
    }));

  test("without a special token is refused by the token's name", () =>
    withFolder(folderOf({}, vocab.replace("[SEP]\n", "")), async (folder) =>
      expect(loadTokenizer(folder, bertTokenizer)).rejects.toThrow(
        'vocab.txt: the vocabulary has no token "[SEP]"',
      ),
    ));

  test("needs no [MASK]", () =>
    withFolder(folderOf({}, vocab.replace("[MASK]\n", "")), async (folder) => {
      const tokenizer = await loadTokenizer(folder, bertTokenizer);
      expect(tokenizer.vocabSize).toBe(vocab.trimEnd().split("\n").length - 1);
    }));
});
