import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { DataSplit } from "../../../core/data/examples.ts";
import { readSquad } from "../../../core/data/squad.ts";
import { spanTask } from "../../../core/tasks/span-task.ts";
import { optionsOf } from "./span-fixtures.ts";

const fixture = join(import.meta.dir, "../../fixtures/data/squad-16.json");
const reading = { labels: "ignored", unanswerable: true } as const;

async function questionsOf(split: DataSplit, columns = {}) {
  const { examples } = await readSquad(split, { ...reading, ...columns });
  return examples.map(({ id, question, context }) => [id, question, context]);
}

describe("words of a command line", () => {
  const context = 'A "cat"\tsat.\nOn the mat.';

  test("are questions on one context, with their indices as ids", async () => {
    const task = spanTask("squad", optionsOf());
    const split = task.fromWords(["Who sat?", "Where?"], context);
    expect(split).toMatchObject({ name: "input", role: "test" });
    expect(await questionsOf(split)).toEqual([
      ["0", "Who sat?", context],
      ["1", "Where?", context],
    ]);
    expect(await questionsOf(task.fromWords(["Who?"], context))).toEqual([["0", "Who?", context]]);
  });

  test("of a task with columns of its own", async () => {
    const columns = { textColumn: "asked", pairColumn: "page" };
    const split = spanTask("squad_v2", optionsOf(columns)).fromWords(["Who?"], context);
    expect(await questionsOf(split, columns)).toEqual([["0", "Who?", context]]);
  });

  test("without a context are refused", () => {
    expect(() => spanTask("squad", optionsOf()).fromWords(["Who?"], undefined)).toThrow(
      "no context given",
    );
  });
});

describe("splits", () => {
  const rows = async (options: object, role: DataSplit["role"]) => {
    const split = { name: role, role, files: [fixture] };
    const task = spanTask("squad_v2", optionsOf(options));
    const { name, featureCount } = await task.read(split, "required");
    const set = await readSquad(split, { ...reading, labels: "required" });
    return { name, featureCount, all: set.examples.length };
  };

  test("are read in any role; the number of windows depends on the tokenizer", async () => {
    expect(await rows({}, "train")).toEqual({ name: "train", featureCount: undefined, all: 16 });
  });

  test("a question without an answer is refused in squad", async () => {
    const split = { name: "train", role: "train", files: [fixture] } as const;
    await expect(spanTask("squad", optionsOf()).read(split, "required")).rejects.toThrow(
      "has no answer, and this task has no unanswerable questions",
    );
  });

  test("official files are found by version; evaluation data can be given", () => {
    const folder = mkdtempSync(join(tmpdir(), "adalora-squad-"));
    for (const name of ["train-v1.1", "dev-v1.1", "train-v2.0", "dev-v2.0"])
      writeFileSync(join(folder, `${name}.json`), "{}");
    const found = (task: "squad" | "squad_v2", validation?: string) =>
      spanTask(task, optionsOf())
        .locate({ path: folder }, validation)
        .map(({ role, files: [file] }) => [role, typeof file === "string" ? basename(file) : ""]);
    expect(found("squad_v2")).toEqual([
      ["train", "train-v2.0.json"],
      ["validation", "dev-v2.0.json"],
    ]);
    expect(found("squad", "mine.json")).toEqual([
      ["train", "train-v1.1.json"],
      ["validation", "mine.json"],
    ]);
    rmSync(folder, { recursive: true });
  });
});

test("the model spec says what padding attends to, if the loss counts it", () => {
  const spec = (options: object) => spanTask("squad_v2", optionsOf(options)).spec(undefined);
  expect(spec({})).toMatchObject({ width: 2, paddedQueries: "auto", peftType: "QUESTION_ANS" });
  expect(spec({ spanPadding: "uniform" }).paddedQueries).toBe("uniform");
  expect("paddedQueries" in spec({ spanPadding: "none" })).toBe(false);
});
