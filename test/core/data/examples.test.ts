import { afterAll, describe, expect, test } from "bun:test";
import { basename } from "node:path";
import { readExamples, type ReadSpec } from "../../../core/data/examples.ts";
import { glueTasks } from "../../../core/data/glue-tasks.ts";
import { fileSplit } from "../../../core/data/splits.ts";
import { AdaloraError } from "../../../core/errors.ts";
import { fileOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

const classes: ReadSpec = { kind: "classification", labels: "required" };
const scores: ReadSpec = { kind: "regression", labels: "required" };
const rte: ReadSpec = { ...classes, task: glueTasks.rte };

const read = (name: string, content: string | Uint8Array, spec: ReadSpec) =>
  readExamples(fileSplit(fileOf(name, content), "train"), spec);

/** The message, without the temporary folder, and the hint. */
async function failure(name: string, content: string | Uint8Array, spec: ReadSpec) {
  const path = fileOf(name, content);
  const error: unknown = await readExamples(fileSplit(path, "train"), spec).catch(
    (e: unknown) => e,
  );
  if (!(error instanceof AdaloraError)) throw new Error(`no AdaloraError: ${String(error)}`);
  return [error.message.replaceAll(path, basename(path)), error.hint] as const;
}

describe("one table in every text format gives the same examples", () => {
  const expected = [
    { index: 0, text: 'He said "yes".', pair: "So, yes", label: 1 },
    { index: 1, text: "No", pair: "Naïve 🙂", label: 0 },
  ];
  const objects = [
    { sentence1: 'He said "yes".', sentence2: "So, yes", label: 1 },
    { sentence1: "No", sentence2: "Naïve 🙂", label: "0" },
  ];
  const tsv = [
    ["sentence1", "sentence2", "label"],
    ['He said "yes".', "So, yes", "not_entailment"],
    ["No", "Naïve 🙂", "entailment"],
  ];
  const files = {
    "a.tsv": tsv.map((row) => `${row.join("\t")}\n`).join(""),
    "a.csv": 'label,sentence1,sentence2\r\n1,"He said ""yes"".","So, yes"\r\n0,No,Naïve 🙂\r\n',
    "a.jsonl": objects.map((object) => JSON.stringify(object)).join("\n"),
    "b.json": objects.map((object) => JSON.stringify(object)).join("\n"),
    "a.json": JSON.stringify(objects, undefined, 1),
  };
  for (const [name, content] of Object.entries(files)) {
    test(name, async () => {
      expect(await read(name, content, rte)).toEqual({
        examples: expected,
        labelNames: ["entailment", "not_entailment"],
        warnings: [],
      });
    });
  }
  test("the format of standard input is detected from its first line", async () => {
    for (const content of Object.values(files)) {
      const source = { name: "stdin", bytes: Uint8Array.from(Buffer.from(content)) };
      const split = { role: "test", name: "test", files: [source] } as const;
      expect((await readExamples(split, rte)).examples).toEqual(expected);
    }
  });
});

describe("columns", () => {
  test("the user's names take precedence over the task's", async () => {
    const spec = { ...classes, textColumn: "b", pairColumn: "a", labelColumn: "c" };
    const { examples } = await read("x.csv", "a,b,c\n1,2,yes\n3,4,no\n", spec);
    expect(examples).toEqual([
      { index: 0, text: "2", pair: "1", label: 1 },
      { index: 1, text: "4", pair: "3", label: 0 },
    ]);
  });

  test("naming columns of a CoLA file implies that it has a header", async () => {
    const spec = { ...classes, task: glueTasks.cola, textColumn: "s", labelColumn: "y" };
    const { examples } = await read("x.tsv", "s\ty\nHe runs.\t1\n", spec);
    expect(examples).toEqual([{ index: 0, text: "He runs.", label: 1 }]);
  });

  test("a file without a task is read by the names that GLUE uses", async () => {
    expect((await read("x.csv", "text,label\nhi,a\nho,b\n", classes)).examples[1]?.label).toBe(1);
    const paired = await read("x.csv", "premise,hypothesis,label\nhi,ho,a\nhi,he,b\n", classes);
    expect(paired.examples[0]).toEqual({ index: 0, text: "hi", pair: "ho", label: 0 });
  });

  test("missing columns are listed with those that exist", async () => {
    expect(await failure("x.csv", "a,b\n1,2\n", classes)).toEqual([
      'x.csv:1: no known columns for text and label: got "a", "b"',
      "name them with --text-column, --pair-column and --label-column",
    ]);
    expect((await failure("x.csv", "a,label\n1,2\n", { ...classes, textColumn: "txt" }))[0]).toBe(
      'x.csv:1: the header lacks the column "txt": got "a", "label"',
    );
    expect((await failure("x.jsonl", '{"sentence1":"a"}', rte))[0]).toBe(
      'x.jsonl:1: the object lacks the columns "sentence2", "label": got "sentence1"',
    );
  });

  test("a duplicate name in the header is refused", async () => {
    expect((await failure("x.tsv", "sentence\tlabel\tsentence\n", classes))[0]).toBe(
      'x.tsv:1: the header has "sentence" more than once',
    );
  });

  test("a delimiter that does not match the extension is reported", async () => {
    expect((await failure("x.csv", "sentence1\tsentence2\tlabel\n", rte))[0]).toBe(
      'x.csv:1: the header has TABs and no comma: this looks like TSV, got "sentence1\\tsentence2\\tlabel"',
    );
    expect(await failure("x.tsv", "sentence1;sentence2;label\n", rte)).toEqual([
      'x.tsv:1: the header has no tab, got "sentence1;sentence2;label"',
      "--delimiter semicolon reads it",
    ]);
    expect(await failure("x.csv", "text|label\n", classes)).toEqual([
      'x.csv:1: the header has no comma, got "text|label"',
      "--delimiter pipe reads it",
    ]);
  });

  test("a CSV with semicolons is read, and the guess is a warning", async () => {
    const content = 'sentence1;sentence2;label\n"a;b";"c ""d""";1\ne,f;g;0\n';
    const { examples, warnings } = await read("x.csv", content, rte);
    expect(examples.map(({ text, pair, label }) => [text, pair, label])).toEqual([
      ["a;b", 'c "d"', 1],
      ["e,f", "g", 0],
    ]);
    expect(warnings).toEqual([expect.stringMatching(/x\.csv:1: columns .* by semicolons$/)]);
    const commas = await read("x.csv", "text,la;bel\na;b,1\nc,0\n", {
      ...classes,
      labelColumn: "la;bel",
    });
    expect([commas.examples[0]?.text, commas.warnings]).toEqual(["a;b", []]);
  });

  test("--delimiter overrides the ending, and brings CSV's quotes unless it is tab", async () => {
    const cases = [
      ["x.csv", "tab", "\t"],
      ["x.txt", "comma", ","],
      ["x.tsv", "semicolon", ";"],
      ["x.tsv", "pipe", "|"],
    ] as const;
    for (const [name, delimiter, separator] of cases) {
      const content = `text,label\n"a, b",1\nc,0\n`.replaceAll(/,(?! )/g, separator);
      const { examples, warnings } = await read(name, content, { ...classes, delimiter });
      expect([name, examples[0]?.text, warnings]).toEqual([name, "a, b", []]);
    }
    const quoted = 'text\tlabel\n"a"\t1\nb\t0\n';
    const { examples } = await read("x.tsv", quoted, { ...classes, delimiter: "tab" });
    expect(examples[0]?.text).toBe('"a"');
  });

  test("a misspelled column is guessed", async () => {
    const spec = { ...classes, textColumn: "Text", labelColumn: "lable" };
    expect(await failure("x.csv", "id,text,label\n1,a,1\n", spec)).toEqual([
      'x.csv:1: the header lacks the columns "Text", "lable": got "id", "text", "label"',
      'did you mean "text" and "label"? name other columns with --text-column, --pair-column and --label-column',
    ]);
  });
});

describe("labels", () => {
  test("undeclared classes are those in the file, integers in numeric order", async () => {
    const { examples, labelNames } = await read("x.csv", "text,label\na,10\nb,9\nc,10\n", classes);
    expect(labelNames).toEqual(["9", "10"]);
    expect(examples.map(({ label }) => label)).toEqual([1, 0, 1]);
  });

  test("JSON integers, booleans and strings name the same classes", async () => {
    const json = '[{"text":"a","label":true},{"text":"b","label":"false"}]';
    expect((await read("x.json", json, classes)).examples.map(({ label }) => label)).toEqual([
      1, 0,
    ]);
  });

  test("an unknown label is an error with the nearest name", async () => {
    const spec = { ...classes, labelNames: ["no", "yes"] };
    expect(await failure("x.csv", "text,label\na,yes\nb,Yes\n", spec)).toEqual([
      'x.csv:3: "label" must be one of "no", "yes" (or 0..1), got "Yes"',
      'did you mean "yes"?',
    ]);
    expect((await failure("x.csv", "text,label\na,yse\n", spec))[1]).toBe('did you mean "yes"?');
  });

  test("an integer is a name first when the names are integers", async () => {
    const spec = { ...classes, labelNames: ["1", "2"] };
    const { examples } = await read("x.csv", "text,label\na,1\nb,2\n", spec);
    expect(examples.map(({ label }) => label)).toEqual([0, 1]);
    expect((await failure("x.csv", "text,label\na,0\n", spec))[0]).toContain(
      'must be one of "1", "2", got "0"',
    );
  });

  test.each([
    ["GLUE's", "x.tsv", rte, ["entailment", "1", "0"]],
    ["the caller's", "x.csv", { ...classes, labelNames: ["no", "yes"] }, ["no", "1", "yes"]],
    ["of the file itself", "x.csv", classes, ["no", "1", "yes"]],
    ["without a label between", "x.csv", { ...rte, labels: "optional" }, ["entailment", "", "1"]],
    ["numbers first", "x.jsonl", rte, [0, "not_entailment"]],
    ["numbers as text first", "x.jsonl", { ...classes, labelNames: ["a", "b"] }, ["0", 1, "b"]],
  ] as const)("names and numbers in one column are an error: %s", async (_, file, spec, labels) => {
    const rows = labels.map((label) => ({ sentence1: "a", sentence2: "b", label }));
    const separator = file.endsWith("tsv") ? "\t" : ",";
    const table = [["sentence1", "sentence2", "label"], ...rows.map((row) => Object.values(row))];
    const content = file.endsWith("jsonl")
      ? rows.map((row) => JSON.stringify(row)).join("\n")
      : table.map((row) => `${row.join(separator)}\n`).join("");
    const isNumber = (label: string | number) => /^\d+$/.test(String(label));
    const firstForm = isNumber(labels[0]);
    const at = labels.findIndex((label) => label !== "" && isNumber(label) !== firstForm);
    const header = file.endsWith("jsonl") ? 1 : 2;
    const [message, hint] = await failure(file, content, spec);
    const shown = (label: string | number) => JSON.stringify(label);
    expect(message).toBe(
      `${file}:${at + header}: "label" mixes class names and numbers: got ${shown(labels[at]!)} after ${shown(labels[0])} at ${file}:${header}`,
    );
    expect(hint).toStartWith("write every label as a name, or every label as a number; --labels");
  });

  test("names in one file of a split and numbers in another are an error", async () => {
    const files = [{ label: "entailment" }, { label: 1 }].map((cells, i) => ({
      name: `${i}.jsonl`,
      bytes: new TextEncoder().encode(JSON.stringify({ sentence1: "a", sentence2: "b", ...cells })),
    }));
    const split = { role: "train", name: "train", files } as const;
    await expect(readExamples(split, rte)).rejects.toThrow(
      '1.jsonl:1: "label" mixes class names and numbers: got 1 after "entailment" at 0.jsonl:1',
    );
  });

  test("classes that are names and numbers are listed by the caller", async () => {
    const spec = { ...classes, labelNames: ["1", "2", "more"] };
    const { examples } = await read("x.csv", "text,label\na,1\nb,more\n", spec);
    expect(examples.map(({ label }) => label)).toEqual([0, 2]);
  });

  test("-1 and an empty cell are missing labels where optional, and errors where required", async () => {
    const content = "sentence1,sentence2,label\na,b,-1\nc,d,\ne,f,1\n";
    const { examples } = await read("x.csv", content, { ...rte, labels: "optional" });
    expect(examples.map((example) => "label" in example)).toEqual([false, false, true]);
    expect((await failure("x.csv", content, rte))[0]).toContain('x.csv:2: "label" must be one of');
  });

  test("-1 is an ordinary class or score where it can be one", async () => {
    const optional = { ...classes, labels: "optional", labelNames: ["-1", "1"] } as const;
    expect((await read("x.csv", "text,label\na,-1\n", optional)).examples[0]?.label).toBe(0);
    const score = { ...scores, labels: "optional" } as const;
    expect((await read("x.csv", "text,label\na,-1\n", score)).examples[0]?.label).toBe(-1);
  });

  test("a single class is refused", async () => {
    expect((await failure("x.csv", "text,label\na,1\nb,1\n", classes))[0]).toBe(
      'x.csv: "label" needs at least 2 classes, got "1"',
    );
  });

  test("a fraction is not a class", async () => {
    expect(await failure("x.jsonl", '{"text":"a","label":0.5}', classes)).toEqual([
      'x.jsonl:1: "label" must be a class name or an integer, got 0.5',
      "for scores use a regression task",
    ]);
  });

  test("scores accept every decimal notation and nothing else", async () => {
    const { examples, labelNames } = await read(
      "x.csv",
      "text,label\na,.5\nb,-1e2\nc,+3.\n",
      scores,
    );
    expect(examples.map(({ label }) => label)).toEqual([0.5, -100, 3]);
    expect(labelNames).toBeUndefined();
    for (const wrong of ["0x10", "1,5", "inf", "1 ", "1e999"]) {
      const [message] = await failure("x.tsv", `text\tlabel\na\t${wrong}\n`, scores);
      expect(message).toBe(`x.tsv:2: "label" must be a finite number, got "${wrong}"`);
    }
  });
});

describe("texts", () => {
  test("of a single CSV column: quotes without text are a row, an empty line is none", async () => {
    const text = 'text\na\n""\nb\n\n""\n\n';
    const spec = { ...classes, labels: "ignored", labelNames: ["x", "y"] } as const;
    const { examples, warnings } = await read("x.csv", text, spec);
    expect(examples.map((one) => one.text)).toEqual(["a", "", "b", ""]);
    expect(warnings).toContainEqual(expect.stringContaining("x.csv:5: the line is blank"));
  });

  test("JSON values that are not strings are reported with their type", async () => {
    const lines = (value: string) => `{"text":"a","label":0}\n{"text":${value},"label":1}\n`;
    for (const [value, type] of [
      ["null", "null"],
      ["3", "a number"],
      ["[1]", "an array"],
      ["{}", "an object"],
    ] as const) {
      expect((await failure("x.jsonl", lines(value), classes))[0]).toBe(
        `x.jsonl:2: "text" is ${type}, not a string`,
      );
    }
    expect((await failure("x.jsonl", '{"text":"a","label":0}\n{"label":1}', classes))[0]).toBe(
      'x.jsonl:2: the row lacks "text"',
    );
    expect((await failure("x.json", '[{"text":"\\ud83d","label":0}]', classes))[0]).toBe(
      'x.json: item 1: "text" has an unpaired surrogate: not valid text',
    );
  });

  test("a million empty texts are one warning", async () => {
    const { warnings, examples } = await read("x.csv", "text,label\n,0\n ,1\nc,1\n,0\n", classes);
    expect(examples).toHaveLength(4);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toEndWith('x.csv:2: "text" is empty (and 2 more like it)');
  });

  test("U+2028 and NUL do not end a line", async () => {
    const { examples } = await read("x.tsv", "text\tlabel\na\u2028b\0\t0\nc\t1\n", classes);
    expect(examples[0]?.text).toBe("a\u2028b\0");
  });
});

describe("files", () => {
  test("broken rows of QQP's release are skipped with a warning, other tasks refuse them", async () => {
    const header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate";
    const content = `${header}\n1\t1\t2\tA?\tbroken\nacross lines?\t1\n2\t1\t2\tA?\tB?\t1\n`;
    const { examples, warnings } = await read("x.tsv", content, {
      ...classes,
      task: glueTasks.qqp,
    });
    expect(examples).toEqual([{ index: 0, text: "A?", pair: "B?", label: 1 }]);
    expect(warnings[0]).toEndWith(
      "x.tsv:2: row has 5 fields, the header has 6: skipped (and 1 more like it)",
    );
    const [message] = await failure("x.tsv", "sentence1\tsentence2\tlabel\nA\tB\n", rte);
    expect(message).toBe("x.tsv:2: row has 2 fields, the header has 3");
  });

  test("a broken row of a test file is refused, for a submission needs its place", async () => {
    const path = fileOf("x.tsv", "id\tquestion1\tquestion2\n0\tA?\tB?\n1\tA?\tbroken\tapart\n");
    const read = readExamples(fileSplit(path, "test"), {
      ...classes,
      labels: "ignored",
      task: glueTasks.qqp,
    });
    await expect(read).rejects.toThrow("x.tsv:3: row has 4 fields, the header has 3");
  });

  test("the first invalid byte is found after real U+FFFD and 4-byte characters", async () => {
    const text = Buffer.from("text\tlabel\n\ufffd🙂é\t0\nb");
    const content = Buffer.concat([text, Buffer.from([0xed, 0xa0, 0x80]), Buffer.from("\t1\n")]);
    expect((await failure("x.tsv", content, classes))[0]).toBe(
      `x.tsv:3: byte 0xed at offset ${text.length} is not valid UTF-8`,
    );
  });

  test("a truncated character is not mistaken for a real U+FFFD", async () => {
    const content = Buffer.concat([Buffer.from("text\tlabel\n"), Buffer.from([0xef, 0xbf, 0x41])]);
    expect((await failure("x.tsv", content, classes))[0]).toStartWith(
      "x.tsv:2: byte 0xef at offset 11 ",
    );
  });

  test("CR line ends are reported", async () => {
    expect((await failure("x.tsv", "text\tlabel\ra\t0\rb\t1\r", classes))[0]).toBe(
      "x.tsv:1: lines end with CR alone",
    );
  });

  test("UTF-16 is recognised", async () => {
    const content = Buffer.from("\ufefftext\tlabel\n", "utf16le");
    expect(await failure("x.tsv", content, classes)).toEqual([
      "x.tsv:1: byte 0xff at offset 0 is not valid UTF-8",
      "the file looks like UTF-16: convert it, for example with iconv",
    ]);
  });

  test("an unknown extension and a missing file are reported", async () => {
    expect((await failure("x.xlsx", "PK", classes))[0]).toBe(
      "x.xlsx: the extension is not a known format",
    );
    const missing = readExamples(fileSplit("/nonexistent/x.csv", "train"), classes);
    await expect(missing).rejects.toThrow("/nonexistent/x.csv: does not exist");
  });

  test("truncated JSON, and JSON that is not an object, are reported with their location", async () => {
    expect(
      (await failure("x.jsonl", '{"text":"a","label":0}\n\n{"text":', classes))[0],
    ).toStartWith("x.jsonl:3: the line is not valid JSON");
    expect((await failure("x.jsonl", '{"text":"a"}\n[1]\n', classes))[0]).toBe(
      "x.jsonl:2: the line is an array, not an object",
    );
    expect((await failure("x.json", "[1]", classes))[0]).toBe(
      "x.json: item 1: the item is a number, not an object",
    );
  });

  test("a limit takes the first rows but the classes of all", async () => {
    const { examples, labelNames } = await read("x.csv", "text,label\na,x\nb,y\nc,z\n", {
      ...classes,
      limit: 1,
    });
    expect(examples).toHaveLength(1);
    expect(labelNames).toEqual(["x", "y", "z"]);
  });
});
