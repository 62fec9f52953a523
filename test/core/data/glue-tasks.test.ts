import { afterAll, describe, expect, test } from "bun:test";
import { readExamples } from "../../../core/data/examples.ts";
import { glueTasks, isGlueTask } from "../../../core/data/glue-tasks.ts";
import { fileSplit } from "../../../core/data/splits.ts";
import { fileOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

/** One row of each official file: header, row, and the expected example. */
const official = {
  cola: {
    train: ["gj04\t0\t*\tThe cats sleeps."],
    test: ["index\tsentence", "0\tBill sleeps."],
    expected: { text: "The cats sleeps.", label: 0 },
    expectedTest: { text: "Bill sleeps." },
  },
  sst2: {
    train: ["sentence\tlabel", "a fine film \t1"],
    test: ["index\tsentence", "0\ta fine film"],
    expected: { text: "a fine film ", label: 1 },
    expectedTest: { text: "a fine film" },
  },
  mrpc: {
    train: ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t70\t71\tHe said so .\tSo he said ."],
    test: ["index\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t70\t71\tA .\tB ."],
    expected: { text: "He said so .", pair: "So he said .", label: 1 },
    expectedTest: { text: "A .", pair: "B ." },
  },
  stsb: {
    train: [
      "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
      "0\tnews\tf\t2012\t1\tnone\tnone\tA plane.\tAn air plane.\t4.750",
    ],
    test: [
      "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2",
      "0\tnews\tf\t2012\t1\tnone\tnone\tA.\tB.",
    ],
    expected: { text: "A plane.", pair: "An air plane.", label: 4.75 },
    expectedTest: { text: "A.", pair: "B." },
  },
  qqp: {
    train: ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "9\t1\t2\tHow?\tHow come?\t1"],
    test: ["id\tquestion1\tquestion2", "0\tA?\tB?"],
    expected: { text: "How?", pair: "How come?", label: 1 },
    expectedTest: { text: "A?", pair: "B?" },
  },
  mnli: {
    train: [
      "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
      "0\t1\t1n\tfiction\t(\t(\t(\t(\tIt rains.\tIt is dry.\tneutral\tcontradiction",
    ],
    test: [
      "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2",
      "0\t1\t1n\tfiction\t(\t(\t(\t(\tA.\tB.",
    ],
    expected: { text: "It rains.", pair: "It is dry.", label: 2 },
    expectedTest: { text: "A.", pair: "B." },
  },
  qnli: {
    train: ["index\tquestion\tsentence\tlabel", "0\tWho?\tHe did.\tnot_entailment"],
    test: ["index\tquestion\tsentence", "0\tA?\tB."],
    expected: { text: "Who?", pair: "He did.", label: 1 },
    expectedTest: { text: "A?", pair: "B." },
  },
  rte: {
    train: ["index\tsentence1\tsentence2\tlabel", "0\tA dog ran.\tA dog moved.\tentailment"],
    test: ["index\tsentence1\tsentence2", "0\tA.\tB."],
    expected: { text: "A dog ran.", pair: "A dog moved.", label: 0 },
    expectedTest: { text: "A.", pair: "B." },
  },
  wnli: {
    train: ["index\tsentence1\tsentence2\tlabel", "0\tHe hid it.\tHe hid.\t1"],
    test: ["index\tsentence1\tsentence2", "0\tA.\tB."],
    expected: { text: "He hid it.", pair: "He hid.", label: 1 },
    expectedTest: { text: "A.", pair: "B." },
  },
} as const;

describe("the official files of every task are read", () => {
  for (const task of Object.values(glueTasks)) {
    test(task.name, async () => {
      const { train, test: testLines, expected, expectedTest } = official[task.name];
      const spec = { task, kind: task.kind } as const;
      const read = async (role: "train" | "test", lines: readonly string[]) =>
        readExamples(fileSplit(fileOf(`${role}.tsv`, `${lines.join("\n")}\n`), role), {
          ...spec,
          labels: role === "train" ? "required" : "optional",
        });
      const trained = await read("train", train);
      expect(trained.examples).toEqual([{ index: 0, ...expected }]);
      expect(trained.labelNames).toEqual(task.labelNames);
      expect((await read("test", testLines)).examples).toEqual([{ index: 0, ...expectedTest }]);
    });
  }
});

test("a submission has the names that GLUE's server expects", () => {
  const names = Object.values(glueTasks).flatMap(({ splits }) =>
    splits.flatMap(({ submission }) => submission ?? []),
  );
  expect(names.toSorted()).toEqual([
    "CoLA.tsv",
    "MNLI-m.tsv",
    "MNLI-mm.tsv",
    "MRPC.tsv",
    "QNLI.tsv",
    "QQP.tsv",
    "RTE.tsv",
    "SST-2.tsv",
    "STS-B.tsv",
    "WNLI.tsv",
  ]);
});

test("only GLUE's names are tasks", () => {
  expect(isGlueTask("rte")).toBe(true);
  expect(isGlueTask("toString")).toBe(false);
});
