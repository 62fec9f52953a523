import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { AdaloraError } from "../../../core/errors.ts";
import { type InferenceOptions, inferTask } from "../../../core/tasks/infer-task.ts";

const folder = mkdtempSync(join(tmpdir(), "infer-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | ArrayBuffer): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : new Uint8Array(content));
  return path;
}

const none: InferenceOptions = {
  textColumn: null,
  pairColumn: null,
  labelColumn: null,
  delimiter: null,
  labels: null,
};
const infer = (path: string, options: Partial<InferenceOptions> = {}) =>
  inferTask({ path }, { ...none, ...options });

const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const answered = {
  question: "Who?",
  context: "Ann sat.",
  answers: [{ text: "Ann", answer_start: 0 }],
};
const unanswered = { ...answered, question: "Where?", answers: [] };

describe("the task of a table", () => {
  test.each([
    ["words", "text,label\na,good\nb,bad\nc,good\n", "classification", "2 classes"],
    ["whole numbers", "text,label\na,1\nb,0\n", "classification", "2 classes"],
    ["pairs", "sentence1,sentence2,label\na,b,yes\nc,d,no\n", "classification", "2 classes"],
    ["premises", "premise,hypothesis,label\na,b,yes\nc,d,no\n", "classification", "2 classes"],
    ["fractions", "text,label\na,0.5\nb,1\n", "regression", "numbers with fractions"],
    ["fractions of 0", "text,label\na,1.0\nb,3.0\n", "regression", "numbers with fractions"],
    ["fractions and NaN", "text,label\na,0.5\nb,nan\nc,2\n", "regression", "numbers with"],
    ["scores of pairs", "sentence1,sentence2,score\na,b,2.5\nc,d,4\n", "regression", '"score"'],
    [
      "documents",
      "document,summary\nlong one,short\nlong two,brief\n",
      "summarization",
      '"summary"',
    ],
    [
      "articles",
      "article,highlights\nlong one,short\nlong two,brief\n",
      "summarization",
      '"highlights"',
    ],
    ["texts", "id,text,summary\n1,long one,short\n2,long two,brief\n", "summarization", '"text"'],
  ])("%s", async (name, content, task, reason) => {
    const inferred = await infer(file(`${name}.csv`, content));
    expect(inferred.task).toBe(task);
    expect(inferred.reason).toContain(reason);
  });

  test("in JSON lines, parquet and TSV, in folders and shards", async () => {
    const rows = [
      { text: "a", label: 0.25 },
      { text: "b", label: 2 },
    ];
    expect((await infer(file("x.jsonl", lines(rows)))).task).toBe("regression");
    expect((await infer(file("x.json", JSON.stringify(rows)))).task).toBe("regression");
    expect((await infer(file("x.tsv", "text\tlabel\na\tyes\nb\tno\n"))).task).toBe(
      "classification",
    );
    const parquet = (data: number[]) =>
      parquetWriteBuffer({
        columnData: [
          { name: "text", data: ["a", "b"], type: "STRING" },
          { name: "label", data, type: "DOUBLE" },
        ],
      });
    expect((await infer(file("y.parquet", parquet([0.5, 1])))).task).toBe("regression");
    file("dir/dev.csv", "text,label\na,yes\n");
    file("dir/train.csv", "text,label\na,yes\nb,no\n");
    expect((await infer(join(folder, "dir"))).task).toBe("classification");
    file("hub/train-00000-of-00002.parquet", parquet([0.5, 1]));
    file("hub/train-00001-of-00002.parquet", parquet([1, 2]));
    expect((await infer(join(folder, "hub"))).task).toBe("regression");
  });

  test("by the hub's split names", async () => {
    const train = [file("a.csv", "document,summary\nlong one,short\nlong two,brief\n")];
    const splits = new Map([
      ["validation", ["none.csv"]],
      ["train", train],
    ]);
    const { task } = await inferTask(
      { path: folder, splits: new Map([...splits].toReversed()) },
      none,
    );
    expect(task).toBe("summarization");
  });

  test("by the columns that the user names", async () => {
    const path = file("own.csv", "body,mood,stars\na,good,0.5\nb,bad,1.5\n");
    const textColumn = "body";
    expect((await infer(path, { textColumn, labelColumn: "mood" })).task).toBe("classification");
    expect((await infer(path, { textColumn, labelColumn: "stars" })).task).toBe("regression");
    const numbered = file("numbered.csv", "body,label\na,0.5\nb,1.5\n");
    const labels = ["0.5", "1.5"];
    expect((await infer(numbered, { textColumn, labelColumn: "label", labels })).task).toBe(
      "classification",
    );
    await expect(infer(path, { textColumn, labelColumn: "moood" })).rejects.toThrow(
      'lacks the column "moood"',
    );
  });
});

test("data with a delimiter of the user's", async () => {
  const path = file("piped.csv", "text|label\na|x\nb|y\n");
  await expect(infer(path)).rejects.toThrow("no task given");
  expect((await infer(path, { delimiter: "pipe" })).task).toBe("classification");
});

test("questions of which none can be used are an error, or known to the observer", async () => {
  const broken = { ...answered, answers: { text: ["Bob"], answer_start: [0] } };
  const path = file("broken.jsonl", lines([broken]));
  await expect(infer(path)).rejects.toThrow("broken.jsonl:1");
  const problems: unknown[] = [];
  const observer = { onProblem: (one: unknown) => void problems.push(one), onRow() {} };
  expect((await infer(path, { observer })).task).toBe("squad_v2");
  expect(problems).toHaveLength(1);
});

describe("questions", () => {
  const nested = (qas: readonly object[]) =>
    JSON.stringify({ data: [{ paragraphs: [{ context: "Ann sat.", qas }] }] });
  const qa = { id: "1", question: "Who?", answers: answered.answers };

  test("are squad where all have answers, else squad_v2", async () => {
    expect((await infer(file("q.jsonl", lines([answered])))).task).toBe("squad");
    const some = await infer(file("r.jsonl", lines([answered, unanswered])));
    expect(some.task).toBe("squad_v2");
    expect(some.reason).toBe(
      'the columns "question", "context" and "answers": 1 of 2 questions have no answer',
    );
  });

  test("in SQuAD's own files", async () => {
    expect((await infer(file("n.json", nested([qa])))).task).toBe("squad");
    const impossible = { ...qa, id: "2", answers: [], is_impossible: true };
    file("v2/train-v2.0.json", nested([qa, impossible]));
    file("v2/dev-v2.0.json", nested([qa]));
    expect((await infer(join(folder, "v2"))).task).toBe("squad_v2");
    file("v1/train-v1.1.json", nested([qa]));
    expect((await infer(join(folder, "v1"))).task).toBe("squad");
  });
});

describe("data that do not show their task", () => {
  const many = Array.from({ length: 150 }, (_, i) => `text ${i},label ${i}\n`).join("");
  test.each([
    ["unknown columns", "a,b\n1,2\n", 'its columns are "a", "b"'],
    ["texts alone", "text\na\n", 'its columns are "text"'],
    [
      "labels and summaries",
      "text,label,summary\na,1,b\nc,0,d\n",
      'its columns are "text", "label", "summary"',
    ],
    [
      "a target of two words",
      "text,target\na,x\nb,x\nc,y\nd,y\n",
      'its columns are "text", "target"',
    ],
    [
      "a decimal comma",
      "text;label\na;3,5\nb;4\nc;2,5\n",
      '"label" holds numbers with a decimal comma, such as 3,5: write a point',
    ],
    [
      "a label of its own for each row",
      `text,label\n${many}`,
      '"label" has 150 distinct values in 150 rows',
    ],
  ])("are an error that lists the choices: %s", async (name, content, what) => {
    const path = file(`unknown ${name}.csv`, content);
    const error = await infer(path).catch((e: unknown) => e);
    if (!(error instanceof AdaloraError)) throw new Error("an error was expected");
    expect(error.message).toBe(`no task given, and ${path} does not show it: ${what}`);
    expect(error.hint).toStartWith(
      "give --task: classification (classes), regression (scores), squad",
    );
  });

  test("are read no further: a missing file is the reader's error", async () => {
    await expect(infer(join(folder, "none.csv"))).rejects.toThrow("none.csv: does not exist");
  });
});
