import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { commandTest, lossesIn, predictionsIn } from "./command.ts";

const { run, path, task } = commandTest();

/** Flags that one method has and another has not. */
const pruned = { "init-warmup": "20%", "final-warmup": "30%", "mask-interval": 2 };
const methods = {
  adalora: { ...pruned, "init-rank": 3, "target-rank": 1 },
  "prune-lora": { ...pruned, "init-rank": 3, "target-rank": 1 },
  lora: { "init-rank": 2 },
  "svd-lora": { "init-rank": 2 },
  bitfit: {},
  head: {},
  full: {},
} as const;

/** A file that is a recipe without any method's flags. */
const file = path("task.toml");
await Bun.write(
  file,
  `task = "rte"\nmodel = "${task.model}"\ndata = "${task.data}"\nmax_steps = 24\nbatch_size = 8
lr = 0.01\ndropout = 0.0\nseed = 5\neval_steps = 8\nlog_steps = 1\nsave_steps = 10\ndevice = "reference"\n`,
);

const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

describe.each(Object.entries(methods))("method %s", (method, flags) => {
  const out = path(method);
  const changesModel = ["bitfit", "head", "full"].includes(method);

  test("trains", async () => {
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const ended = await run(["run", file, "--method", method, ...words, "--out", out, "--json"]);
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({ method, steps: 24, stopped_by: "end" });
    const losses = lossesIn(out);
    expect(mean(losses.slice(-6))).toBeLessThan(mean(losses.slice(0, 6)));
    expect(existsSync(join(out, "adapter"))).toBe(!changesModel);
    expect(existsSync(join(out, "model"))).toBe(changesModel);
  });

  test("leaves what predict needs: its predictions are the run's", async () => {
    const which = changesModel ? "--model" : "--adapter";
    const input = join(task.data, "dev.tsv");
    const ended = await run(["predict", which, out, "--input", input, "--device", "reference"]);
    expect(ended.stderr).toBe("");
    const expected = predictionsIn(readFileSync(join(out, "predictions.jsonl"), "utf8"));
    const got = predictionsIn(ended.stdout);
    expect(got).toHaveLength(6);
    got.forEach(({ logits, prediction }, row) => {
      expect(prediction).toBe(expected[row]?.prediction ?? "");
      logits.forEach((logit, i) => expect(logit).toBeCloseTo(expected[row]?.logits[i] ?? 0, 5));
    });
  });

  if (!changesModel) {
    test("leaves an adapter of PEFT's type for it", () => {
      const isSvd = method === "adalora" || method === "svd-lora";
      expect(readPeftAdapter(join(out, "adapter")).method).toBe(isSvd ? "adalora" : "lora");
    });
  }
});

test("a model trained whole is a folder that stands alone, labels and tokenizer in it", async () => {
  const model = path("full", "model");
  expect(JSON.parse(readFileSync(join(model, "config.json"), "utf8"))).toMatchObject({
    model_type: "deberta-v2",
    num_labels: 2,
    id2label: { "0": "entailment", "1": "not_entailment" },
  });
  const input = join(task.data, "dev.tsv");
  const moved = path("elsewhere");
  await Bun.$`mv ${model} ${moved}`.quiet();
  const args = ["predict", "--model", moved, "--task", "rte", "--input", input];
  const { code, stdout } = await run([...args, "--device", "reference"]);
  expect([code, predictionsIn(stdout).length]).toEqual([0, 6]);
});
