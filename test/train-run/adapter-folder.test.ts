import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { commandTest, predictionsIn } from "./command.ts";

const { run, training, path, task } = commandTest();
const device = ["--device", "reference"];
const dev = join(task.data, "dev.tsv");

/** The adapter alone, in a folder without a run's config.json above it. */
const alone = path("elsewhere", "copied");
const readText = (name: string) => readFileSync(join(alone, name), "utf8");

beforeAll(async () => {
  const { code } = await run(training({ out: path("run"), "max-steps": 8 }));
  expect(code).toBe(0);
  mkdirSync(path("elsewhere"));
  cpSync(path("run", "adapter"), alone, { recursive: true });
});

describe("an adapter's folder that was copied out of its run", () => {
  test("holds what PEFT, transformers and a person need", () => {
    expect(readdirSync(alone).toSorted()).toEqual([
      "README.md",
      "adalora.json",
      "adapter_config.json",
      "adapter_model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(JSON.parse(readText("adalora.json"))).toMatchObject({
      task: "rte",
      num_labels: 2,
      labels: ["entailment", "not_entailment"],
      training: { method: "adalora", seed: 5, steps: 8, step: 8 },
    });
    const config = JSON.parse(readText("adapter_config.json"));
    expect(config).toMatchObject({ base_model_name_or_path: null, peft_version: "0.21.2" });
  });

  test("predicts as in its run, given the base model and nothing else", async () => {
    const inRun = await run(["predict", "--adapter", path("run"), "--input", dev, ...device]);
    const base = path("bare"); // the adapter brings the tokenizer
    cpSync(task.model, base, { recursive: true });
    rmSync(join(base, "spm.model"));
    const model = ["--model", base, ...device];
    const copied = await run(["predict", "--adapter", alone, "--input", dev, ...model]);
    expect(copied.stderr).toBe("");
    expect(predictionsIn(copied.stdout)).toEqual(predictionsIn(inRun.stdout));
    expect(predictionsIn(copied.stdout)[0]?.prediction).toMatch(/entailment$/);
    const scored = await run(["eval", "--adapter", alone, "--data", dev, ...model, "--json"]);
    expect(JSON.parse(scored.stdout)).toMatchObject({ task: "rte", rows: 6 });
  });

  test("may be the first argument, before texts", async () => {
    const pair = ["the cat looked at the moon", "the cat"];
    const model = ["--model", task.model, ...device];
    const flag = await run(["predict", "--adapter", alone, ...model, ...pair]);
    const argument = await run(["predict", alone, ...pair, ...model]);
    expect([argument.code, argument.stdout]).toEqual([0, flag.stdout]);
    const scored = await run(["eval", alone, "--data", dev, ...model, "--json"]);
    expect(JSON.parse(scored.stdout)).toMatchObject({ task: "rte", rows: 6 });
    const both = await run(["eval", alone, "--adapter", alone, "--data", dev]);
    expect(both.stderr).toContain("--adapter exclude each other");
  });

  test("asks for the base model where it came from a folder", async () => {
    const { code, stderr } = await run(["predict", "--adapter", alone, "--input", dev]);
    expect([code, stderr]).toEqual([
      1,
      "error  no model given\n  hint: the adapter does not name its base model: give it with --model\n",
    ]);
  });

  test("names no path and no host in any file", () => {
    for (const name of readdirSync(alone)) {
      const text = readText(name);
      expect([name, text.includes(task.folder), text.includes(hostname())]).toEqual([
        name,
        false,
        false,
      ]);
    }
  });

  test("has a card with the hub's metadata, the ranks and how to load it", () => {
    const card = readText("README.md");
    const [, yaml = ""] = card.split("---\n");
    const metadata: unknown = Bun.YAML.parse(yaml);
    expect(metadata).toMatchObject({
      library_name: "peft",
      pipeline_tag: "text-classification",
      tags: ["adalora", "transformers"],
      "model-index": [
        {
          name: "rte-adalora",
          results: [
            {
              task: { type: "text-classification" },
              dataset: { name: "rte", type: "local", split: "validation" },
              metrics: [{ type: "accuracy", value: expect.any(Number) }, { type: "loss" }],
            },
          ],
        },
      ],
    });
    expect(card).toContain("| 1 | not_entailment |");
    expect(card).toContain('PeftModel.from_pretrained(base, "FOLDER")');
  });
});

describe("--base-name", () => {
  test("names the base model on the hub for the adapter's files", async () => {
    const out = path("named");
    const name = { "base-name": "org/tiny@v1", "max-steps": 8, out };
    expect((await run(training(name))).code).toBe(0);
    const read = (file: string) => readFileSync(join(out, "adapter", file), "utf8");
    expect(JSON.parse(read("adapter_config.json"))).toMatchObject({
      base_model_name_or_path: "org/tiny",
      revision: "v1",
    });
    const card = read("README.md");
    expect(card).toContain('base_model: "org/tiny"\n');
    expect(card).toContain('- "base_model:adapter:org/tiny"\n');
    // In its run's folder the local model is at hand.
    const found = await run(["predict", "--adapter", out, "--input", dev, ...device]);
    expect(found.code).toBe(0);
  });

  test("must be a name on the hub", async () => {
    const { code, stderr } = await run(training({ "base-name": "/a/path", out: path("no") }));
    expect([code, stderr.split("\n")[0]]).toEqual([
      1,
      'error  --base-name must be a name on the hub like org/name, got "/a/path"',
    ]);
  });
});
