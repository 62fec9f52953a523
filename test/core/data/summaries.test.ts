import { afterAll, describe, expect, test } from "bun:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import { fileSplit } from "../../../core/data/splits.ts";
import { readSummaries, type SummarySpec } from "../../../core/data/summaries.ts";
import { encodeTexts, summaryInputs } from "../../../core/data/summary-features.ts";
import { tokensOf } from "../../../core/data/token-cache.ts";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { tinyBartDir } from "../text/fixtures.ts";
import { fileOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

const read = (path: string, changes: Partial<SummarySpec> = {}) =>
  readSummaries(fileSplit(path, "train"), { labels: "required", ...changes });

async function refusal(path: string, changes: Partial<SummarySpec> = {}): Promise<string> {
  const error: unknown = await read(path, changes).catch((cause: unknown) => cause);
  return error instanceof Error ? error.message.replace(/^\S*\/x\./, "x.") : "accepted";
}

describe("texts with summaries", () => {
  test("XSum's, CNN/DailyMail's and SAMSum's columns are known", async () => {
    for (const [text, summary] of [
      ["document", "summary"],
      ["article", "highlights"],
      ["dialogue", "summary"],
    ]) {
      const file = fileOf("x.csv", `id,${text},${summary}\n1,"a\n""b""",c\n`);
      const { examples } = await read(file);
      expect(examples).toEqual([{ index: 0, text: 'a\n"b"', summary: "c" }]);
    }
  });

  test("other columns are named by the user; a missing one is refused", async () => {
    const file = fileOf("x.jsonl", '{"body": "a", "title": "b"}');
    const names = { textColumn: "body", labelColumn: "title" };
    expect((await read(file, names)).examples).toEqual([{ index: 0, text: "a", summary: "b" }]);
    expect(await refusal(file, { ...names, labelColumn: "head" })).toBe(
      'x.jsonl:1: the object lacks a column "head": got "body", "title"',
    );
    expect(await refusal(file)).toBe(
      'x.jsonl:1: the object lacks a column for the text (one of "document", "article", "dialogue", "text", "source"): got "body", "title"',
    );
  });

  test("parquet", async () => {
    const columnData = [
      { name: "document", data: ["é", "b"], type: "STRING" as const },
      { name: "summary", data: ["c", "d"], type: "STRING" as const },
    ];
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData }));
    const { examples } = await read(fileOf("x.parquet", bytes));
    expect(examples.map(({ text, summary }) => [text, summary])).toEqual([
      ["é", "c"],
      ["b", "d"],
    ]);
  });

  test("texts without summaries, for prediction", async () => {
    const file = fileOf("x.csv", "document\na\n");
    expect(await refusal(file)).toContain("lacks a column for the summary");
    for (const labels of ["optional", "ignored"] as const) {
      const { examples, isLabelled } = await read(file, { labels });
      expect([examples, isLabelled]).toEqual([[{ index: 0, text: "a" }], false]);
    }
    const nulls = fileOf("x.jsonl", '{"text": "a", "summary": null}');
    expect((await read(nulls, { labels: "optional" })).examples).toEqual([{ index: 0, text: "a" }]);
    expect(await refusal(nulls)).toBe('x.jsonl:1: "summary" is null, not a string');
  });

  test("empty texts give one warning per kind; a limit takes the first examples", async () => {
    const { examples, warnings } = await read(fileOf("x.csv", "text,summary\n,a\n,b\nc,d\n"), {
      limit: 2,
    });
    expect(examples.length).toBe(2);
    expect(warnings.map((line) => line.replace(/^\S*\/x\./, "x."))).toEqual([
      'x.csv:2: "text" is empty (and 1 more like it)',
    ]);
  });
});

describe("tokens of texts and summaries", () => {
  const examples = [
    { index: 0, text: "the cat's eating", summary: "the cat" },
    { index: 1, text: "a", summary: "eating a cat in the morning" },
  ];

  test("are the tokenizer's, truncated to their lengths, with the prefix", async () => {
    const tokenizer = await loadTokenizer(tinyBartDir, bartTokenizer);
    const { sources, targets = [] } = summaryInputs(examples, "the ");
    const [first, second] = await tokenizer.encode([
      { text: "the the cat's eating" },
      { text: "eating a cat in the morning" },
    ]);
    const source = await encodeTexts(sources, tokenizer, { maxLength: 99, flag: "max-length" });
    expect(tokensOf(source, 0).ids).toEqual(first?.ids ?? new Int32Array());
    const cut = { maxLength: 6, flag: "max-target-length" } as const;
    const target = await encodeTexts(targets, tokenizer, cut);
    expect(Array.from(tokensOf(target, 1).ids)).toEqual([
      ...(second?.ids.subarray(0, 5) ?? []),
      tokenizer.specialIds.sep,
    ]);
  });

  test("no labels when a summary is missing; a length without room for text is refused", async () => {
    const tokenizer = await loadTokenizer(tinyBartDir, bartTokenizer);
    expect(summaryInputs([...examples, { index: 2, text: "a" }]).targets).toBeUndefined();
    await expect(
      encodeTexts([{ text: "a" }], tokenizer, { maxLength: 2, flag: "max-target-length" }),
    ).rejects.toThrow(
      "--max-target-length must be above 2, the special tokens around a text, got 2",
    );
  });
});
