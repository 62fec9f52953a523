import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../cli/main.ts";
import { createReport } from "../../cli/report.ts";
import { fakeOutput } from "./fake-output.ts";

const home = mkdtempSync(join(tmpdir(), "adalora-check-"));
afterAll(() => rmSync(home, { recursive: true }));

/** Writes files into a new folder; its path. */
function folder(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(home, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

async function check(...args: string[]) {
  const stdout = fakeOutput();
  const stderr = fakeOutput();
  const open = (o: { json: boolean; quiet: boolean }) => createReport({ ...o, stdout, stderr });
  const code = await main(["data", "check", ...args], { open });
  return { code, text: stdout.text.replaceAll(home, "HOME"), stderr: stderr.text };
}

const json = async (...args: string[]) => JSON.parse((await check(...args, "--json")).text);

describe("data check", () => {
  const reviews = folder("reviews", {
    "train.csv": [
      "text,label",
      "a good film,good",
      "a bad film,bad",
      "too,many,fields",
      "a film,good",
      "what a film,Good",
      '"no end" of it,bad',
      "a bad film,good",
      "the film,bad",
      ",bad",
      "",
    ].join("\n"),
    "dev.csv": "text,label\nthe film,bad\na film,goood\nanother,good\n",
  });

  test("lists every bad row, then what is suspicious", async () => {
    const { code, text, stderr } = await check(reviews);
    expect([code, stderr]).toEqual([1, ""]);
    expect(text).toMatchInlineSnapshot(`
      "HOME/reviews: classification

      train         7 rows in train.csv
      classes       Good 1, bad 3, good 3 (Good at train.csv:6)
      text          characters: median 10, 95% up to 11, longest 11; words: median 3, 95% up to 3, longest 3

      validation    2 rows in dev.csv
      classes       Good 0, bad 1, good 1
      text          characters: median 7, 95% up to 8, longest 8; words: median 1, 95% up to 2, longest 2

      train: 2 of its rows can't be used
      error  train.csv:4: row has 3 fields, the header has 2
      error  train.csv:7: text after a closing quote: got " of it,bad" (double each quote inside a quoted field)

      validation: 1 of its rows can't be used
      error  dev.csv:3: "label" must be one of "Good", "bad", "good" (or 0..2), got "goood" (did you mean "good"?)

      1 text stands in train more than once, 1 with different labels
        train.csv:3 = train.csv:8 (different labels)

      1 text stands in both train and validation
        train.csv:9 = dev.csv:2

      warn  train.csv:10: "text" is empty
      warn  the class "Good" has a single training row
      warn  the classes "Good" (1) and "good" (3) differ in case or spaces alone: is one a typo?

      9 rows can be used, 3 can't: a run would stop at the first
      "
    `);
  });

  test("says the same in JSON, with every location", async () => {
    const found = await json(reviews);
    expect(found.task).toBe("classification");
    expect(found.splits[0].problems.map(({ where }: { where: string }) => where)).toEqual([
      "HOME/reviews/train.csv:4",
      "HOME/reviews/train.csv:7",
    ]);
    expect(found.splits[1].problems).toEqual([
      {
        where: "HOME/reviews/dev.csv:3",
        rule: expect.stringContaining('"label" must be one of "Good", "bad", "good"'),
        hint: 'did you mean "good"?',
      },
    ]);
    expect(found.splits[0].classes).toContainEqual({
      name: "Good",
      rows: 1,
      first: "HOME/reviews/train.csv:6",
    });
    expect(found.splits[0].duplicates).toEqual([
      {
        locations: ["HOME/reviews/train.csv:3", "HOME/reviews/train.csv:8"],
        hasOtherLabel: true,
      },
    ]);
    expect(found.shared).toEqual([
      {
        splits: ["train", "validation"],
        rows: [
          {
            locations: ["HOME/reviews/train.csv:9", "HOME/reviews/dev.csv:2"],
            hasOtherLabel: false,
          },
        ],
      },
    ]);
    expect(found.splits[0].sizes[0]).toMatchObject({ of: "text", words: { median: 3, max: 3 } });
  });

  test("of data without a bad row exits with 0", async () => {
    const path = folder("fine", { "train.tsv": "text\tlabel\na\tx\nb\ty\nc\tx\nd\ty\n" });
    const { code, text } = await check(path);
    expect([code, text.trimEnd().split("\n").at(-1)]).toEqual([0, "4 rows can be used"]);
  });

  test("a test set needs no labels, also where their column is named", async () => {
    const train = "review,stars\na,x\nb,y\n";
    const path = folder("unlabelled", { "train.csv": train, "test.csv": "review\na film\n" });
    const columns = ["--text-column", "review", "--label-column", "stars"];
    const { code, text } = await check(path, ...columns);
    expect([code, text]).toEqual([0, expect.stringContaining("3 rows can be used\n")]);
    const sums = folder("no-summaries", {
      "train.csv": "review,stars\na b,a\nc d,c\n",
      "test.csv": "review\na film\n",
    });
    expect((await check(sums, "--task", "summarization", ...columns)).code).toBe(0);
  });

  test("CSV's quotes in TSV are noted: they are read as text", async () => {
    const rows = ['"He said ""hi"""\tx', "b\ty", '"c\td"\tx', '"quoted"\ty'];
    const path = folder("quotes", { "train.tsv": ["text\tlabel", ...rows, ""].join("\n") });
    const { warnings, splits } = await json(path);
    const hint = expect.stringContaining("TSV has no quoting");
    expect(warnings[0]).toEqual(hint);
    expect(warnings[0]).toStartWith("HOME/quotes/train.tsv:2: quotes are read as text");
    expect(splits[0].problems).toEqual([
      { where: "HOME/quotes/train.tsv:4", rule: "row has 3 fields, the header has 2", hint },
    ]);
    writeFileSync(join(path, "train.csv"), ["text\tlabel", ...rows, ""].join("\n"));
    rmSync(join(path, "train.tsv"));
    const found = await json(path, "--delimiter", "tab");
    expect([found.splits[0].rows, found.splits[0].problems]).toEqual([4, []]);
    const glue = folder("SST-2", { "train.tsv": `sentence\tlabel\n"a ""b"""\t0\nc\t1\n` });
    expect((await json(glue)).warnings).not.toContainEqual(hint);
  });

  test("knows the task by folder, columns and labels; --task overrides it", async () => {
    const pairs = "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tentailment\n";
    const rte = join(home, "RTE");
    mkdirSync(rte);
    writeFileSync(join(rte, "train.tsv"), pairs);
    const scores = folder("scores", { "train.csv": "text,label\na,0.5\nb,3\n" });
    const summaries = folder("sums", { "train.jsonl": '{"document":"a b","summary":"a"}\n' });
    const question = '{"question":"q","context":"c","answers":{"text":["c"],"answer_start":[0]}}\n';
    const squad = folder("squad", { "train.jsonl": question });
    const tasks = [];
    for (const path of [rte, scores, summaries, squad]) tasks.push((await json(path)).task);
    expect(tasks).toEqual(["rte", "regression", "summarization", "squad"]);
    expect((await json(squad, "--task", "squad_v2")).task).toBe("squad_v2");
    expect((await json(summaries)).splits[0].sizes.map(({ of }: { of: string }) => of)).toEqual([
      "text",
      "summary",
    ]);
    const unknown = await check(folder("odd", { "train.csv": "a,b\n1,2\n" }));
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("no task given")]);
  });

  test("lists bad lines of JSON and bad questions alike", async () => {
    const lines = ['{"text":"a","label":0}', "{", '{"text":1,"label":0}', '{"text":"b","label":1}'];
    const rows = await json(folder("lines", { "train.jsonl": lines.join("\n") }));
    expect(rows.splits[0].problems.map(({ rule }: { rule: string }) => rule)).toEqual([
      expect.stringContaining("the line is not valid JSON"),
      '"text" is a number, not a string',
    ]);
    const qas = [1, 9].map((start, i) => ({
      id: `q${i}`,
      question: "which?",
      answers: [{ text: "cat", answer_start: start }],
    }));
    const document = { data: [{ paragraphs: [{ context: "a cat", qas }] }] };
    const broken = JSON.stringify(document).replace('"answer_start":1', '"answer_start":0');
    const [split] = (await json(folder("questions", { "train.json": broken }))).splits;
    expect([split.rows, split.problems.length]).toEqual([0, 3]); // two answers, and no question left
  });

  test("a file that can't be read at all is a problem of its split", async () => {
    const path = folder("unreadable", { "train.csv": "text,label\na,x\nb,y\n", "dev.csv": "" });
    const found = await json(path);
    expect(found.splits.map(({ rows }: { rows: number }) => rows)).toEqual([2, 0]);
    expect(found.splits[1].problems[0].rule).toBe("the file is empty");
  });

  test("controls in names are escaped", async () => {
    const content = 'text,label\na,"x\ny"\nb,\u001b[2J\nc,\u001b[2J\n';
    const { text } = await check(folder("controls", { "train.csv": content }));
    expect(text).toContain("\\x1b[2J 2, x\\ny 1 (");
    expect(text).not.toContain("\u001b");
  });

  test("reads 100,000 rows in 5 s", async () => {
    const words = "the cat saw a red moon over the old house and the dog".split(" ");
    const rows = Array.from({ length: 100_000 }, (_, i) => {
      const text = words.map((word, j) => `${word}${(i * (j + 7)) % 997}`).join(" ");
      return `${text},${i % 2 === 0 ? "good" : "bad"}`;
    });
    const path = folder("large", { "train.csv": ["text,label", ...rows].join("\n") });
    const start = process.cpuUsage();
    expect((await json(path)).splits[0].rows).toBe(100_000);
    const { user, system } = process.cpuUsage(start); // other processes do not count
    expect((user + system) / 1e6).toBeLessThan(5);
  });

  test("needs its action and a path", async () => {
    const open = (o: { json: boolean; quiet: boolean }) =>
      createReport({ ...o, stdout: fakeOutput(), stderr: fakeOutput() });
    expect(await main(["data"], { open })).toBe(1);
    expect(await main(["data", "chek", reviews], { open })).toBe(1);
    expect((await check()).stderr).toContain("no data given");
  });
});
