import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { fakeHub, large, text } from "../core/io/fake-hub.ts";
import { commandTest } from "./command.ts";

const { run, training, path, task, home } = commandTest();

/** RTE as the hub keeps it; the labels of the test set are -1. */
function split(rows: number, isTest = false) {
  const numbers = Array.from({ length: rows }, (_, i) => i);
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: "sentence1", data: numbers.map(() => "the cat looked at the moon"), type: "STRING" },
      {
        name: "sentence2",
        data: numbers.map((i) => (i % 2 ? "the moon" : "the cat")),
        type: "STRING",
      },
      { name: "label", data: numbers.map((i) => BigInt(isTest ? -1 : i % 2)), type: "INT64" },
    ],
  });
  return large(Buffer.from(bytes));
}

const base = (name: string) => readFileSync(join(task.model, name));
const models = fakeHub("models", "microsoft/deberta-v3-base", {
  "config.json": text(base("config.json").toString()),
  "spm.model": large(base("spm.model")),
  "model.safetensors": large(base("model.safetensors")),
});
const datasets = fakeHub("datasets", "nyu-mll/glue", {
  "README.md": text("GLUE"),
  "rte/train-00000-of-00001.parquet": split(20),
  "rte/validation-00000-of-00001.parquet": split(6),
  "rte/test-00000-of-00001.parquet": split(4, true),
  "cola/train-00000-of-00001.parquet": split(2),
});

const online = (endpoint: string) => ({ HF_HUB_OFFLINE: "0", HF_ENDPOINT: endpoint });
const [, , ...words] = training();
/** The schedule alone: neither --model nor --data. */
const schedule = words.slice(4);

test("a recipe without model and data takes the hub's, and needs no hub once they are in its cache", async () => {
  const flags = ["rte", ...schedule];
  const before = await run(["run", ...flags, "--out", path("offline")]);
  expect([before.code, before.stderr]).toEqual([
    1,
    "error  nyu-mll/glue: is not in the cache\n  hint: run once without HF_HUB_OFFLINE, or use a local folder\n",
  ]);
  const withData = ["plan", ...flags, "--data", task.data, "--json"];
  const { code, stdout } = await run(withData, online(models.url));
  expect([code, JSON.parse(stdout).config.model]).toEqual([0, "microsoft/deberta-v3-base"]);
  const withModel = ["plan", ...flags, "--model", task.model, "--json"];
  const planned = await run(withModel, online(datasets.url));
  expect(planned.code).toBe(0);
  expect(JSON.parse(planned.stdout).schedule.trainRows).toBe(20);
  const fetched = datasets.requests
    .map(({ path: of }) => of)
    .filter((of) => of.includes("parquet"));
  expect(fetched.some((of) => of.includes("cola"))).toBe(false);
  expect(readdirSync(join(home, "cache", "huggingface", "hub")).toSorted()).toEqual([
    "datasets--nyu-mll--glue",
    "models--microsoft--deberta-v3-base",
  ]);

  const out = path("run");
  expect((await run(["run", ...flags, "--out", out])).code).toBe(0);
  const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
  expect([config.model, config.data]).toEqual(["microsoft/deberta-v3-base", undefined]);
  const adapter = JSON.parse(readFileSync(join(out, "adapter", "adapter_config.json"), "utf8"));
  expect(adapter.base_model_name_or_path).toBe("microsoft/deberta-v3-base");
  expect(adapter.revision).toMatch(/^[0-9a-f]{40}$/);
  const card = readFileSync(join(out, "adapter", "README.md"), "utf8");
  expect(card).toContain('type: "nyu-mll/glue"\n      config: "rte"\n');
  const predicted = await run([
    "predict",
    "--adapter",
    out,
    "--device",
    "reference",
    "--out",
    path("sub"),
  ]);
  expect([predicted.code, readdirSync(path("sub")).toSorted()]).toEqual([
    0,
    ["RTE.tsv", "predictions.jsonl"],
  ]);
  const again = await run(["run", "--resume", "--out", out]);
  expect([again.code, again.stderr]).toEqual([
    0,
    "the run is finished: there is nothing to resume\n",
  ]);
});

test("the hub's absence is a warning where the cache has all, and an error where it has not", async () => {
  const down = online("http://127.0.0.1:1");
  const flags = ["plan", "rte", ...schedule, "--data", task.data];
  const cached = await run(flags, down);
  expect(cached.code).toBe(0);
  expect(cached.stderr).toContain("connection refused; using the copy in the cache\n");
  const { code, stderr } = await run([...flags, "--model", "org/unknown"], down);
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(
      /^error {2}org\/unknown: cannot reach http:.*\n {2}hint: .*; there is no local path org\/unknown either\n$/,
    ),
  ]);
});

test("the task of a data set on the hub is inferred from its columns", async () => {
  const place = ["--data", "nyu-mll/glue:rte", "--model", task.model, "--device", "reference"];
  const { code, stdout, stderr } = await run(["plan", ...place, "--json"], online(datasets.url));
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^task classification, from /)]);
  expect(JSON.parse(stdout).config).toMatchObject({ task: "classification", lr: 5e-4 });
});

test("a pushed adapter predicts class names with nothing but its repository's name", async () => {
  const dir = path("run", "adapter"); // of the first test, whose base is in the cache at its commit
  const files = readdirSync(dir).map((name) => {
    const bytes = readFileSync(join(dir, name));
    return [name, name.endsWith(".md") ? text(bytes.toString()) : large(bytes)] as const;
  });
  const pushed = fakeHub("models", "org/rte", Object.fromEntries(files));
  const device = ["--device", "reference"];
  const pair = ["the cat looked at the moon", "the cat"];
  const named = await run(
    ["predict", "--adapter", "org/rte", ...device, ...pair],
    online(pushed.url),
  );
  const inRun = await run(["predict", "--adapter", path("run"), ...device, ...pair]);
  expect([named.code, named.stdout]).toEqual([0, inRun.stdout]);
  expect(JSON.parse(named.stdout).prediction).toMatch(/^(not_)?entailment$/);
});
