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
