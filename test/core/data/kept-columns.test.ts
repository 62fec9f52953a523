import { afterAll, describe, expect, test } from "bun:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import { type DataSplit, readExamples } from "../../../core/data/examples.ts";
import type { KeepColumns } from "../../../core/data/kept-columns.ts";
import { readSquad } from "../../../core/data/squad.ts";
import { readSummaries } from "../../../core/data/summaries.ts";
import { fileOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

const split = (path: string, keep?: KeepColumns): DataSplit => ({
  name: "input",
  role: "test",
  files: [path],
  keep,
});
const texts = { kind: "classification", labels: "ignored", labelNames: ["a", "b"] } as const;

describe("a table's kept columns", () => {
  const file = fileOf("x.csv", "id,text,label,note\n7,first,a,\n8,second,b,x\n9,third,a,y\n");

  test("are the named ones, or all of them, row by row up to the limit", async () => {
    const named = await readExamples(split(file, ["note", "id"]), { ...texts, limit: 2 });
    expect(named.kept).toEqual([
      { note: "", id: "7" },
      { note: "x", id: "8" },
    ]);
    expect(named.examples.map(({ text }) => text)).toEqual(["first", "second"]);
    const { kept } = await readExamples(split(file, "all"), texts);
    expect(kept?.[2]).toEqual({ id: "9", text: "third", label: "a", note: "y" });
    expect((await readExamples(split(file), texts)).kept).toBeUndefined();
  });

  test("are those of the rows that a filter leaves", async () => {
    const filter = { columns: ["id"], keep: ([id]: readonly unknown[]) => id !== "8" };
    const { kept } = await readExamples({ ...split(file, ["note"]), filter }, texts);
    expect(kept).toEqual([{ note: "" }, { note: "y" }]);
  });

  test("must be there", async () => {
    const read = readExamples(split(file, ["note", "nite"]), texts);
    await expect(read).rejects.toThrow(
      ':1: there is no column "nite" to keep: got "id", "text", "label", "note"',
    );
  });

  test("of JSON lines are those of any row", async () => {
    const lines = fileOf("x.jsonl", '{"text": "a"}\n{"text": "b", "more": {"n": [1]}}\n');
    const { kept } = await readExamples(split(lines, "all"), texts);
    expect(kept).toEqual([
      { text: "a", more: undefined },
      { text: "b", more: { n: [1] } },
    ]);
  });

  test("of parquet are values that JSON can hold", async () => {
    const columnData = [
      { name: "text", data: ["a"], type: "STRING" as const },
      { name: "n", data: [5n], type: "INT64" as const },
      { name: "huge", data: [2n ** 60n], type: "INT64" as const },
      { name: "at", data: [new Date(0)], type: "TIMESTAMP" as const },
    ];
    const path = fileOf("x.parquet", new Uint8Array(parquetWriteBuffer({ columnData })));
    const { kept } = await readExamples(split(path, ["n", "huge", "at"]), texts);
    expect(kept).toEqual([{ n: 5, huge: String(2n ** 60n), at: "1970-01-01T00:00:00.000Z" }]);
  });
});

test("texts to summarize keep theirs", async () => {
  const file = fileOf("x.csv", "url,document\nu1,one\nu2,two\n");
  const spec = { labels: "ignored" } as const;
  const { kept, examples } = await readSummaries(split(file, ["url"]), { ...spec, limit: 1 });
  expect([kept, examples]).toEqual([[{ url: "u1" }], [{ index: 0, text: "one" }]]);
});

describe("questions keep theirs", () => {
  const spec = { labels: "ignored", unanswerable: true } as const;
  const context = "Ada wrote the first program.";

  test("in a table", async () => {
    const file = fileOf(
      "x.csv",
      `question,context,page\nWho?,${context},12\nWhat?,${context},13\n`,
    );
    const { kept } = await readSquad(split(file, ["page"]), spec);
    expect(kept).toEqual([{ page: "12" }, { page: "13" }]);
  });

  test("in SQuAD's nesting, whose columns are a question's keys and its context", async () => {
    const qas = [
      { id: "a", question: "Who?", topic: "people" },
      { id: "b", question: "What?" },
    ];
    const file = fileOf("x.json", JSON.stringify({ data: [{ paragraphs: [{ context, qas }] }] }));
    const { kept } = await readSquad(split(file, ["topic", "context"]), { ...spec, limit: 2 });
    expect(kept).toEqual([{ topic: "people", context }, { context }]);
    const first = await readSquad(split(file, "all"), { ...spec, limit: 1 });
    expect(first.kept).toEqual([{ ...qas[0], context }]);
    const none = readSquad(split(file, ["page"]), spec);
    await expect(none).rejects.toThrow('there is no column "page" to keep: got "id", "question"');
  });
});
