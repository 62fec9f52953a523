import { afterAll, describe, expect, test } from "bun:test";
import { relative } from "node:path";
import { readExamples } from "../../../core/data/examples.ts";
import { glueTasks } from "../../../core/data/glue-tasks.ts";
import { locateSplits, misnamedSplits, type SplitOptions } from "../../../core/data/splits.ts";
import { folderOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

/** [split name, its files] of a folder made of empty files. */
function locate(names: readonly string[], options: SplitOptions = {}) {
  const folder = folderOf(Object.fromEntries(names.map((name) => [name, ""])));
  return locateSplits(folder, options).map(({ name, files }) => [
    name,
    ...files.map((file) => relative(folder, typeof file === "string" ? file : file.name)),
  ]);
}

const { rte, mnli, mrpc } = glueTasks;

describe("a data folder", () => {
  test("GLUE's layout, inside the folder of all tasks or not", () => {
    expect(locate(["train.tsv", "dev.tsv", "test.tsv"], { task: rte })).toEqual([
      ["train", "train.tsv"],
      ["validation", "dev.tsv"],
      ["test", "test.tsv"],
    ]);
    expect(locate(["RTE/train.tsv", "CoLA/train.tsv"], { task: rte })).toEqual([
      ["train", "RTE/train.tsv"],
    ]);
  });

  test("MNLI has two validation and two test sets", () => {
    const files = ["train.tsv", "dev_matched.tsv", "dev_mismatched.tsv", "test_matched.tsv"];
    expect(locate(files, { task: mnli }).map(([name]) => name)).toEqual([
      "train",
      "validation_matched",
      "validation_mismatched",
      "test_matched",
    ]);
    expect(locate(["train.csv", "dev.csv"], { task: mnli })).toEqual([
      ["train", "train.csv"],
      ["validation", "dev.csv"],
    ]);
  });

  test("the hub's layout, with shards in order", () => {
    const files = [
      "rte/train-00001-of-00002.parquet",
      "rte/train-00000-of-00002.parquet",
      "rte/validation-00000-of-00001.parquet",
    ];
    expect(locate(files, { task: rte })).toEqual([
      ["train", "rte/train-00000-of-00002.parquet", "rte/train-00001-of-00002.parquet"],
      ["validation", "rte/validation-00000-of-00001.parquet"],
    ]);
    expect(locate(["data/train-00000-of-00001-0a1b2c3d.parquet"])).toEqual([
      ["train", "data/train-00000-of-00001-0a1b2c3d.parquet"],
    ]);
  });

  test("a missing shard is an error, not a smaller data set", () => {
    expect(() => locate(["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"])).toThrow(
      'the train split is incomplete: expected 3 shards, got "train-00000-of-00003.parquet", "train-00002-of-00003.parquet"',
    );
  });

  test("a duplicate shard is an error, not duplicate rows", () => {
    const twice = ["train-00000-of-00002.parquet", "train-00000-of-00002-0a1b.parquet"];
    expect(() => locate(twice)).toThrow("the train split is incomplete");
  });

  test("two files for one split are an error, not a choice", () => {
    expect(() => locate(["train.tsv", "train.csv"])).toThrow(
      'more than one file matches the train split: "train.csv", "train.tsv"',
    );
    expect(() => locate(["dev.tsv", "validation.jsonl"], { task: rte })).toThrow(
      "the validation split",
    );
  });

  test("a folder without data is an error that lists its files", () => {
    expect(() => locate(["readme.md"])).toThrow(
      'no train, validation or test file found: got "readme.md"',
    );
  });
});

test("a single file is the training set, and named files replace a folder's", () => {
  const folder = folderOf({ "mine.csv": "", "train.tsv": "", "dev.tsv": "" });
  expect(locateSplits(`${folder}/mine.csv`, { validation: "v.csv" })).toEqual([
    { role: "train", name: "train", files: [`${folder}/mine.csv`] },
    { role: "validation", name: "validation", files: ["v.csv"] },
  ]);
  const splits = locateSplits(folder, { task: rte, validation: "v.csv" });
  expect(splits.map(({ files }) => files[0])).toEqual([`${folder}/train.tsv`, "v.csv"]);
  expect(() => locateSplits(`${folder}/none`)).toThrow("none: does not exist");
});

test("Microsoft's MRPC files are split into train and dev by the ids", async () => {
  const header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n";
  const folder = folderOf({
    "msr_paraphrase_train.txt": `${header}1\t10\t11\tA "quoted\tB\r\n0\t20\t21\tC\tD\r\n1\t10\t21\tE\tF\r\n`,
    "msr_paraphrase_test.txt": `${header}0\t30\t31\tG\tH\r\n`,
    "dev_ids.tsv": "20\t21\n",
  });
  const read = await Promise.all(
    locateSplits(folder, { task: mrpc }).map(async (split) => {
      const set = await readExamples(split, {
        task: mrpc,
        kind: "classification",
        labels: "required",
      });
      return [split.name, set.examples.map(({ index, text, label }) => [index, text, label])];
    }),
  );
  expect(read).toEqual([
    [
      "train",
      [
        [0, 'A "quoted', 1],
        [1, "E", 1],
      ],
    ],
    ["validation", [[0, "C", 0]]],
    ["test", [[0, "G", 0]]],
  ]);
});

test("shards form one data set with continuous indices", async () => {
  const folder = folderOf({ "a.csv": "text,label\nx,0\n", "b.csv": "text,label\ny,1\n" });
  const files = [`${folder}/a.csv`, `${folder}/b.csv`];
  const split = { role: "train", name: "train", files } as const;
  const { examples } = await readExamples(split, { kind: "classification", labels: "required" });
  expect(examples).toEqual([
    { index: 0, text: "x", label: 0 },
    { index: 1, text: "y", label: 1 },
  ]);
});

test("files that look like misspelled splits are an error with a guess", () => {
  const names = (...files: string[]) =>
    misnamedSplits(folderOf(Object.fromEntries(files.map((file) => [file, ""]))));
  expect(names("trian.tsv", "validaton.csv", "notes.md")).toBe(
    'did you mean "train.tsv" instead of "trian.tsv", "validation.csv" instead of "validaton.csv"?',
  );
  expect(names("train.tsv", "dev.tsv", "corpus.csv")).toBeUndefined();
  expect(() => locate(["Trian.tsv"])).toThrow(
    expect.objectContaining({ hint: 'did you mean "train.tsv" instead of "Trian.tsv"?' }),
  );
});
