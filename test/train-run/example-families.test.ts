import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import bert from "../../examples/plugins/bert.ts";
import roberta from "../../examples/plugins/roberta.ts";
import { writeExampleFolder } from "../helpers/example-folder.ts";
import { commandTest, lossesIn } from "./command.ts";

const { path, run, training } = commandTest();
const fileOf = (name: string) => resolve(import.meta.dir, "../../examples/plugins", `${name}.ts`);

for (const plugin of [bert, roberta]) writeExampleFolder(path(plugin.name), plugin);

/** Contexts of different lengths, all shorter than the windows. */
const contexts = [
  "the man had a great time",
  "a good day",
  "people like the old state of the world",
];
const questions = path("questions.json");
const paragraphs = contexts.map((context, i) => ({
  context,
  qas: [
    {
      id: `q${i}`,
      question: "what is it",
      is_impossible: false,
      answers: [{ text: context.slice(0, 3).trim(), answer_start: 0 }],
    },
  ],
}));
writeFileSync(questions, JSON.stringify({ data: [{ title: "stories", paragraphs }] }));

/** Two steps of questions with BERT. */
const answering = (out: string, padding: string) =>
  [
    `run squad --plugin ${fileOf("bert")} --model ${path("bert")} --data ${questions}`,
    `--eval-data ${questions} --max-length 60 --doc-stride 16 --max-steps 2 --batch-size 4`,
    `--init-rank 2 --target-rank 1 --init-warmup 0 --final-warmup 1 --dropout 0 --log-steps 1`,
    `--seed 5 --device reference --span-padding ${padding} --out ${out}`,
  ]
    .join(" ")
    .split(" ");

describe("questions with a BERT from outside", () => {
  const losses = new Map<string, readonly number[]>();
  for (const padding of ["none", "zero", "uniform", "auto"])
    test(`are answered with --span-padding ${padding}`, async () => {
      const out = path(`answers-${padding}`);
      expect(await run(answering(out, padding))).toMatchObject({ code: 0 });
      const found = lossesIn(out);
      expect(found).toHaveLength(2);
      expect(found.every(Number.isFinite)).toBe(true);
      losses.set(padding, found);
      const metrics = JSON.parse(readFileSync(join(out, "metrics.json"), "utf8"));
      expect(JSON.stringify(metrics)).toContain("exact_match");
    });

  test("count padding differently in each mode; auto is zero for a pretrained model", () => {
    const lossOf = (padding: string) => losses.get(padding)?.[0] ?? Number.NaN;
    expect(lossOf("zero")).toBeGreaterThan(lossOf("none")); // more positions share the softmax
    expect(lossOf("uniform")).toBeGreaterThan(lossOf("none"));
    expect(lossOf("uniform")).not.toBe(lossOf("zero"));
    expect(lossOf("auto")).toBe(lossOf("zero"));
  });
});

test("sentences with a RoBERTa from outside: trained, evaluated and predicted", async () => {
  const out = path("sentences");
  const flags = { model: path("roberta"), plugin: fileOf("roberta"), "max-length": 60 };
  expect(await run(training({ ...flags, "max-steps": 6, "eval-steps": 6, out }))).toMatchObject({
    code: 0,
  });
  const words = ["--adapter", out, "--device", "reference"];
  expect(await run(["eval", ...words, "--json"])).toMatchObject({ code: 0 });
  expect(await run(["predict", ...words, "the cat", "a moon"])).toMatchObject({ code: 0 });
});
