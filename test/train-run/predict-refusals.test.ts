import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandTest } from "./command.ts";

const { run, training, path, task } = commandTest();
const out = path("run");
const device = ["--device", "reference"];

beforeAll(async () => {
  expect((await run(training({ out }))).code).toBe(0);
});

const predict = (...args: string[]) => run(["predict", "--adapter", out, ...device, ...args]);

describe("what can't be predicted with is refused before it is loaded", () => {
  const seeds = path("seeds");
  for (const seed of ["seed-10", "seed-2"]) mkdirSync(join(seeds, seed), { recursive: true });
  const input = ["--input", join(task.data, "dev.tsv"), ...device];
  test.each([
    [
      "a base without heads",
      ["predict", "--model", task.model, "--task", "rte", ...input],
      "base: the model has no trained pooler.dense and classifier\n",
    ],
    [
      "a model of another task",
      ["eval", "--adapter", out, "--task", "squad"],
      "no trained qa_outputs, nor does the adapter\n  hint: it was trained for rte: leave --task out\n",
    ],
    ["no model at all", ["predict", "--task", "rte", ...input], "no model given\n"],
    ["no task anywhere", ["predict", "--model", task.model, ...input], "no task given\n"],
    [
      "a folder without an adapter",
      ["eval", "--adapter", task.data],
      "data: holds no adapter_config.json\n",
    ],
    [
      "a folder of several seeds' runs",
      ["eval", "--adapter", seeds],
      `seeds: holds runs with several seeds\n  hint: give one of them, such as ${join(seeds, "seed-2")}\n`,
    ],
    [
      "a file that is not there",
      ["predict", "--adapter", out, "--input", "none.tsv"],
      "none.tsv: does not exist\n",
    ],
    [
      "one text of a pair",
      ["predict", "--adapter", out, "the cat"],
      "no second text given\n  hint: rte takes a pair of texts",
    ],
    [
      "a text too many",
      ["predict", "--adapter", out, "a", "b", "c"],
      'unexpected argument "c"\n  hint: the command takes TEXT TEXT, and flags',
    ],
    [
      "a text and a file",
      ["predict", "--adapter", out, "a", "b", ...input],
      "a text as an argument and --input exclude each other",
    ],
    [
      "a context, which no pair has",
      ["predict", "--adapter", out, "a", "b", "--context", "the cat sat"],
      "--context does not apply to task rte\n  hint: tasks that use it: squad, squad_v2\n",
    ],
    [
      "another task's option",
      ["eval", "--adapter", out, "--num-beams", "4"],
      "--num-beams does not apply to task rte\n  hint: tasks that use it: xsum, cnn_dailymail, summarization\n",
    ],
    [
      "two inputs",
      ["predict", "--adapter", out, ...input, "--data", "x"],
      "--input and --data exclude each other",
    ],
    [
      "a run's folder as --out",
      ["predict", "--adapter", out, ...input, "--out", out],
      "holds a run\n",
    ],
    [
      "a test set without labels",
      ["eval", "--adapter", out, "--split", "test"],
      'the header lacks the column "label"',
    ],
    [
      "a length below the special tokens",
      ["eval", "--adapter", out, "--max-length", "3"],
      "--max-length must be above 3, the special tokens around a pair of texts, got 3\n",
    ],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(message);
  });

  test("an adapter whose base has moved names both", async () => {
    const moved = path("moved");
    renameSync(task.model, moved);
    const { stderr } = await predict("--input", join(task.data, "dev.tsv"));
    expect(stderr).toStartWith(
      `error  cannot open the base model of ${join(out, "adapter")}: ${task.model}: no such folder\n`,
    );
    expect((await predict("--model", moved, "--input", join(task.data, "dev.tsv"))).code).toBe(0);
    renameSync(moved, task.model);
  });

  test("a base of another width", async () => {
    const other = path("other");
    cpSync(task.model, other, { recursive: true });
    const config = JSON.parse(readFileSync(join(other, "config.json"), "utf8"));
    writeFileSync(join(other, "config.json"), JSON.stringify({ ...config, intermediate_size: 25 }));
    const { code, stderr } = await predict("--model", other, "--input", join(task.data, "dev.tsv"));
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("must be [25] for this config.json: got [24]"),
    ]);
    rmSync(other, { recursive: true });
  });
});
