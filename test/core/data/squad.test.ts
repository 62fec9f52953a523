import { afterAll, describe, expect, test } from "bun:test";
import { basename, join } from "node:path";
import { fileSplit } from "../../../core/data/splits.ts";
import { readSquad, type SquadSpec } from "../../../core/data/squad.ts";
import { locateSquadSplits } from "../../../core/data/squad-splits.ts";
import { fileOf, folderOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

const context = "Ada wrote \u{1f600} the first program.";
const program = { text: "the first program", answer_start: 12 };
const spec: SquadSpec = { labels: "required", unanswerable: true };

const read = (path: string, changes: Partial<SquadSpec> = {}) =>
  readSquad(fileSplit(path, "train"), { ...spec, ...changes });

/** A file of SQuAD's layout with these questions on one context. */
const nested = (...qas: object[]) =>
  fileOf("x.json", JSON.stringify({ data: [{ paragraphs: [{ context, qas }] }] }, null, 1));
const lines = (...rows: object[]) =>
  fileOf("x.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));

async function refusal(path: string, changes: Partial<SquadSpec> = {}): Promise<string> {
  const error: unknown = await read(path, changes).catch((cause: unknown) => cause);
  return error instanceof Error ? error.message.replace(/^\S*\/x\./, "x.") : "accepted";
}

describe("layouts", () => {
  const expected = {
    index: 0,
    id: "q1",
    question: "What?",
    context,
    answers: [{ text: "the first program", start: 12 }],
  };
  const flat = { id: "q1", question: "What?", context };
  const hub = { text: [program.text], answer_start: [program.answer_start] };

  test("the official nested one", async () => {
    const { examples } = await read(nested({ id: "q1", question: "What?", answers: [program] }));
    expect(examples).toEqual([expected]);
  });

  test("JSON lines, also of a single line in a .json file, and a JSON list", async () => {
    const row = { ...flat, answers: hub };
    expect((await read(lines(row))).examples).toEqual([expected]);
    expect((await read(fileOf("x.json", JSON.stringify(row)))).examples).toEqual([expected]);
    expect((await read(fileOf("x.json", JSON.stringify([row])))).examples).toEqual([expected]);
    const two = `${JSON.stringify(row)}\n${JSON.stringify({ ...row, id: "q2" })}\n`;
    expect((await read(fileOf("x.json", two))).examples.length).toBe(2);
  });

  test('the hub\'s export, questions under "data"', async () => {
    const file = fileOf("x.json", JSON.stringify({ data: [{ ...flat, answers: hub }] }));
    expect((await read(file)).examples).toEqual([expected]);
  });

  test("CSV with the answers as JSON", async () => {
    const answers = JSON.stringify([program]).replaceAll('"', '""');
    const file = fileOf("x.csv", `id,question,context,answers\nq1,What?,${context},"${answers}"\n`);
    expect((await read(file)).examples).toEqual([expected]);
  });

  test("the hub's parquet", async () => {
    // written by pyarrow: answers is a struct of text list<string> and answer_start list<int32>
    const file = join(import.meta.dir, "../../fixtures/data/squad-hub.parquet");
    const { examples, isLabelled } = await read(file);
    expect(examples.map(({ id, answers }) => [id, answers])).toEqual([
      [
        "a",
        [
          { text: "Ada", start: 2 },
          { text: "Ada did", start: 2 },
        ],
      ],
      ["b", []],
    ]);
    expect(isLabelled).toBe(true);
  });

  test("bytes of standard input", async () => {
    const bytes = new TextEncoder().encode(
      JSON.stringify({ data: [{ paragraphs: [{ context, qas: [{ ...flat, answers: [] }] }] }] }),
    );
    const split = { role: "train", name: "train", files: [{ name: "stdin", bytes }] } as const;
    expect((await readSquad(split, spec)).examples.map(({ id }) => id)).toEqual(["q1"]);
  });

  test("ids that only some rows have are an error, not ignored", async () => {
    const row = { question: "What?", context, answers: hub };
    const rule = 'x.jsonl:1: the question lacks "id"';
    expect(await refusal(lines(row, { ...row, id: "q2" }))).toBe(rule);
  });

  test("a document of standard input may begin with a byte order mark", async () => {
    const text = `\ufeff\n${JSON.stringify({ data: [{ ...flat, answers: hub }] })}`;
    const source = { name: "standard input", bytes: new TextEncoder().encode(text) };
    const split = { name: "input", role: "train", files: [source] } as const;
    expect((await readSquad(split, spec)).examples).toEqual([expected]);
  });

  test("columns with other names, and no ids: questions are identified by index", async () => {
    const file = lines({ q: "What?", c: context, a: hub }, { q: "Who?", c: context, a: hub });
    const names = { textColumn: "q", pairColumn: "c", labelColumn: "a" };
    const { examples } = await read(file, names);
    expect(examples.map(({ id, question }) => [id, question])).toEqual([
      ["0", "What?"],
      ["1", "Who?"],
    ]);
    expect(await refusal(file)).toBe(
      'x.jsonl:1: the object lacks the columns "question", "context", "answers": got "q", "c", "a"',
    );
  });
});

describe("answers", () => {
  const question = (answers: unknown) => nested({ id: "q1", question: "What?", answers });
  const refused: Record<string, [answers: unknown, message: string]> = {
    "in another case": [
      [{ ...program, text: "The first program" }],
      'x.json:14: question "q1": "answer_start" 12 does not point at the answer "The first program": the context reads "the first program" there',
    ],
    "past the end": [
      [{ text: "x", answer_start: 30 }],
      'x.json:14: question "q1": "answer_start" 30 is past the end of the context (30 characters)',
    ],
    "before the start": [
      [{ text: "Ada", answer_start: -1 }],
      'x.json:14: question "q1": "answer_start" must be an integer from 0, got -1',
    ],
    "with a fraction": [
      [{ text: "Ada", answer_start: 0.5 }],
      'x.json:14: question "q1": "answer_start" must be an integer from 0, got 0.5',
    ],
    "without a start": [
      [{ text: "Ada" }],
      'x.json:13: question "q1": "answer_start" must be an integer from 0, got none',
    ],
    "without a text": [[{ answer_start: 0 }], 'x.json:13: an answer of question "q1" lacks "text"'],
    "of unequal lists": [
      { text: ["Ada", "wrote"], answer_start: [0] },
      'x.json:11: question "q1": "answers" has 2 "text" and 1 "answer_start"',
    ],
    "that are a text": [
      "Ada",
      'x.json:11: question "q1": "answers" is a string, not a list of answers',
    ],
    "that are texts": [
      ["Ada"],
      'x.json:11: question "q1": "answers" holds a string, not an object',
    ],
    "that are not there": [undefined, 'x.json:9: question "q1" lacks "answers"'],
  };
  for (const [what, [answers, message]] of Object.entries(refused)) {
    test(`${what} are refused`, async () => expect(await refusal(question(answers))).toBe(message));
  }

  test("an offset in UTF-16 units is recognised, and the correct one given", async () => {
    const file = question([{ ...program, answer_start: 13 }]);
    await expect(read(file)).rejects.toMatchObject({
      hint: "13 counts UTF-16 units; offsets count code points, an emoji as one: 12 is correct",
    });
  });

  test("the hint gives the answer's actual offset", async () => {
    const file = question([{ ...program, answer_start: 3 }]);
    await expect(read(file)).rejects.toMatchObject({
      hint: "the context first holds the answer at 12",
    });
  });

  test("questions without an answer need SQuAD 2.0", async () => {
    const { examples } = await read(question([]));
    expect(examples[0]?.answers).toEqual([]);
    expect(await refusal(question([]), { unanswerable: false })).toBe(
      'x.json:11: question "q1" has no answer, and this task has no unanswerable questions',
    );
  });

  test("an empty answer is a warning", async () => {
    const { warnings } = await read(question([{ text: "", answer_start: 30 }]));
    expect(warnings).toEqual([expect.stringContaining(':13: question "q1": an answer is empty')]);
  });

  test("may be missing in a test set, and are not checked when ignored", async () => {
    const { examples, isLabelled } = await read(question(undefined), { labels: "optional" });
    expect([examples[0]?.answers, isLabelled]).toEqual([undefined, false]);
    const wrong = question([{ ...program, answer_start: 3 }]);
    expect(await refusal(wrong, { labels: "optional" })).toContain("does not point at");
    expect((await read(wrong, { labels: "ignored" })).examples[0]?.answers).toBeUndefined();
  });
});

describe("documents", () => {
  const refused: Record<string, [text: string, message: string]> = {
    "another layout": [
      '{\n"articles": []}',
      'x.json:2: the file has no top-level "data": got "articles"',
    ],
    "data that is no list": ['{"data": {}}', 'x.json:1: "data" is an object, not a list'],
    "an article without paragraphs": [
      '{"data": [\n{"title": "T"}]}',
      'x.json:2: the object lacks "paragraphs"',
    ],
    "a paragraph that is no object": [
      '{"data": [{"paragraphs": [\n"x"]}]}',
      'x.json:2: "paragraphs" holds a string, not an object',
    ],
    "a comma too many": [
      '{"data": [],\n}',
      "x.json:2: the file is not valid JSON (Property name must be a string literal)",
    ],
    "half a file": ['{\n"data": [', "x.json:2: the file ends in the middle of the JSON"],
    "no questions": ['{"data": []}', "x.json: no questions"],
    "a question without id": [
      '{"data": [{"paragraphs": [{"context": "x", "qas": [\n{"id": null, "question": "?"}]}]}]}',
      'x.json:2: the question lacks "id"',
    ],
    "half a surrogate pair": [
      '{"data": [{"paragraphs": [{"context": "\\ud83d",\n"qas": [{"id": "a", "question": "?", "answers": []}]}]}]}',
      'x.json:1: question "a": "context" has an unpaired surrogate: not valid text',
    ],
  };
  for (const [what, [text, message]] of Object.entries(refused)) {
    test(`${what}: refused`, async () =>
      expect(await refusal(fileOf("x.json", text))).toBe(message));
  }

  test("a duplicate id is refused, across the files of a split too", async () => {
    const row = { id: "q1", question: "?", context, answers: [program] };
    const twice = `the id "q1" is used twice: first at `;
    expect(await refusal(lines(row, row))).toContain(`x.jsonl:2: ${twice}`);
    const split = { role: "train", name: "train", files: [lines(row), lines(row)] } as const;
    await expect(readSquad(split, spec)).rejects.toThrow(twice);
  });

  test("a numeric id becomes text, with a warning; many of a kind give one line", async () => {
    const row = { question: " ", context, answers: [program] };
    const { examples, warnings } = await read(lines({ id: 7, ...row }, { id: 8, ...row }));
    expect(examples.map(({ id }) => id)).toEqual(["7", "8"]);
    expect(warnings.map((line) => line.replace(/^\S*\/x\./, "x."))).toEqual([
      'x.jsonl:1: "id" 7 is a number: predictions will use the text "7" (and 1 more like it)',
      'x.jsonl:1: question "7": "question" is empty (and 1 more like it)',
    ]);
  });

  test("a limit takes the first examples, but everything is checked", async () => {
    const row = { question: "?", context, answers: [program] };
    const file = lines({ id: "a", ...row }, { id: "b", ...row });
    expect((await read(file, { limit: 1 })).examples.map(({ id }) => id)).toEqual(["a"]);
    const wrong = lines({ id: "a", ...row }, { ...row, id: "b", context: "x" });
    expect(await refusal(wrong, { limit: 1 })).toContain('question "b"');
  });
});

describe("the splits of a folder", () => {
  const splitFiles = (folder: string, unanswerable: boolean, options = {}) =>
    locateSquadSplits(folder, unanswerable, options).map(({ role, files }) => [
      role,
      ...files.map((file) => (typeof file === "string" ? basename(file) : file.name)),
    ]);

  test("the official files of the requested version", () => {
    const names = ["train-v1.1.json", "dev-v1.1.json", "train-v2.0.json", "dev-v2.0.json"];
    const folder = folderOf(Object.fromEntries(names.map((name) => [name, "{}"])));
    expect(splitFiles(folder, true)).toEqual([
      ["train", "train-v2.0.json"],
      ["validation", "dev-v2.0.json"],
    ]);
    expect(splitFiles(folder, false)).toEqual([
      ["train", "train-v1.1.json"],
      ["validation", "dev-v1.1.json"],
    ]);
    expect(splitFiles(folder, true, { validation: "own.json" })[1]).toEqual([
      "validation",
      "own.json",
    ]);
  });

  test("the usual names when there are no official files", () => {
    const folder = folderOf({ "train.jsonl": "{}", "validation.jsonl": "{}" });
    expect(splitFiles(folder, true)).toEqual([
      ["train", "train.jsonl"],
      ["validation", "validation.jsonl"],
    ]);
  });
});
