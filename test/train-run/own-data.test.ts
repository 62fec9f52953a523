import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandTest, predictionsIn } from "./command.ts";

const { run, path, task } = commandTest();

/** Reviews in a CSV with columns of its own; a third one is a score. */
const texts = [
  "the cat looked",
  "a moon",
  "the moon looked at a cat",
  "a cat",
  "the moon",
  "looked",
];
const moods = ["good", "bad", "odd"];
const csv = [
  "text of it,mood,score",
  ...texts.map((text, i) => `${text},${moods[i % 3]},${i / 2}`),
].join("\n");
writeFileSync(path("train.csv"), csv);
writeFileSync(path("dev.csv"), csv);

const flags = {
  model: task.model,
  data: path("train.csv"),
  "eval-data": path("dev.csv"),
  "text-column": "text of it",
  "max-steps": 6,
  "batch-size": 3,
  "init-warmup": "20%",
  "final-warmup": "30%",
  "mask-interval": 1,
  "target-rank": 1,
  device: "reference",
};
const common = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);

describe("data of one's own", () => {
  test("with classes: their names are the run's, the model's and the predictions'", async () => {
    const out = path("moods");
    const args = ["--task", "classification", ...common, "--label-column", "mood", "--out", out];
    const { code, stdout } = await run(["run", ...args, "--json"]);
    expect([code, Object.keys(JSON.parse(stdout).metrics.validation)]).toEqual([
      0,
      ["accuracy", "loss"],
    ]);
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config.labels).toEqual(["bad", "good", "odd"]);
    writeFileSync(path("new.csv"), "text of it\nthe cat\na moon\n");
    const predicted = await run([
      "predict",
      "--adapter",
      out,
      "--input",
      path("new.csv"),
      "--device",
      "reference",
    ]);
    expect(predicted.stderr).toBe("");
    for (const { prediction, logits } of predictionsIn(predicted.stdout)) {
      expect(prediction).toBe(config.labels[logits.indexOf(Math.max(...logits))]);
    }
    const evaluated = await run(["eval", "--adapter", out, "--device", "reference", "--json"]);
    expect(JSON.parse(evaluated.stdout).metrics.validation).toEqual({
      accuracy: JSON.parse(stdout).metrics.validation.accuracy,
      loss: expect.closeTo(JSON.parse(stdout).metrics.validation.loss, 6),
    });
    const predict = (...words: string[]) =>
      run(["predict", out, ...words, "--device", "reference"]);
    const second = "a second text does not apply to a model that was trained on single texts";
    expect(await predict("a cat", "a moon")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(second),
    });
    writeFileSync(path("pairs.csv"), "text of it,other\nthe cat,a moon\n");
    const pairs = await predict("--input", path("pairs.csv"), "--pair-column", "other");
    expect([pairs.code, pairs.stderr]).toEqual([
      0,
      expect.stringContaining("was trained on single texts, the rows of input are pairs"),
    ]);
    const resumed = await run(["run", ...args, "--resume"]);
    expect([resumed.code, resumed.stderr]).toEqual([
      0,
      "the run is finished: there is nothing to resume\n",
    ]);
  });

  test("with scores: predictions are numbers, metrics are correlations", async () => {
    const out = path("scores");
    const args = ["--task", "regression", ...common, "--label-column", "score", "--out", out];
    const { code, stdout } = await run(["run", ...args, "--json"]);
    expect([code, Object.keys(JSON.parse(stdout).metrics.validation)]).toEqual([
      0,
      ["pearson", "spearmanr", "combined_score", "loss"],
    ]);
    const predicted = await run([
      "predict",
      "--adapter",
      out,
      "--input",
      path("dev.csv"),
      "--device",
      "reference",
    ]);
    for (const { prediction, logits } of predictionsIn(predicted.stdout)) {
      expect([prediction]).toEqual([...logits]);
    }
  });
});

describe("without a task", () => {
  const place = (data: string) => ["--model", task.model, "--data", data];
  const plan = async (...args: string[]) => {
    const { code, stdout, stderr } = await run([
      "plan",
      "--json",
      "--device",
      "reference",
      ...args,
    ]);
    return { code, stderr, config: code === 0 ? JSON.parse(stdout).config : undefined };
  };
  const labelled = path("labelled.csv");
  writeFileSync(labelled, "text,label\nthe cat,good\na moon,bad\nlooked,good\n");

  test("the data's columns show it: plan says so, and takes nothing from the demo", async () => {
    const { code, config, stderr } = await plan(...place(labelled));
    expect(code).toBe(0);
    expect(stderr).toContain(
      `task classification, from the column "label" of ${labelled} holds 2 classes; --task names another, or a recipe`,
    );
    const named = await plan(...place(labelled), "--task", "classification");
    expect(config).toEqual(named.config);
    expect(config).toMatchObject({ task: "classification", lr: 5e-4, epochs: 3 });
  });

  test.each([
    ["regression", "scores.csv", "text,label\nthe cat,0.5\na moon,1\n"],
    [
      "squad_v2",
      "questions.jsonl",
      JSON.stringify({ question: "Who?", context: "the cat", answers: [] }),
    ],
  ])("%s", async (name, file, content) => {
    writeFileSync(path(file), content);
    const { config, stderr } = await plan(...place(path(file)));
    expect([config?.task, stderr]).toEqual([name, expect.stringContaining(`task ${name}, from `)]);
  });

  test("run infers it too, and a configuration file without one", async () => {
    const short = ["--max-steps", "2", "--target-rank", "1", "--device", "reference", "--json"];
    const { code, stdout } = await run(["run", ...place(labelled), ...short, "--out", path("own")]);
    expect([code, JSON.parse(stdout).task]).toEqual([0, "classification"]);
    writeFileSync(path("own.toml"), `model = "${task.model}"\ndata = "${labelled}"\n`);
    expect((await plan(path("own.toml"))).config).toMatchObject({ task: "classification" });
  });

  test.each([
    ["a model alone", ["--model", task.model], "no task given\n  hint: name a recipe, give --data"],
    [
      "evaluation data alone",
      ["--eval-data", labelled],
      "no task given\n  hint: name a recipe, give --data",
    ],
    ["data alone", ["--data", labelled], "no model given\n  hint: give --model DIR\n"],
    [
      "unknown columns",
      place(path("train.csv")),
      'does not show it: its columns are "text of it", "mood", "score"',
    ],
    ["the demo's recipe", ["demo", "--data", labelled], "--data does not apply to recipe demo\n"],
    [
      "the demo's recipe, another model",
      ["demo", "--model", task.model],
      "--model does not apply to recipe demo\n",
    ],
  ])("an error says what to give: %s", async (_, args, message) => {
    for (const verb of ["plan", "run"]) {
      const { code, stderr } = await run([verb, ...args]);
      expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
      expect(stderr).not.toContain("baseline");
    }
  });
});
