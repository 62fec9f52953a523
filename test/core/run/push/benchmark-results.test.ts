import { expect, test } from "bun:test";
import { benchmarksOf } from "../../../../core/io/hub-benchmark.ts";
import { benchmarkResults } from "../../../../core/run/push/benchmark-results.ts";
import { fakeHub, text } from "../../io/fake-hub.ts";
import { rejection } from "../../io/scratch.ts";

const hub = fakeHub("datasets", "org/bench", { "README.md": text("# Bench") });
const options = {
  env: { HF_HOME: "/nonexistent", HF_ENDPOINT: hub.url },
  retryDelay: 1,
};

const training = {
  method: "adalora",
  seed: 1,
  steps: 8,
  step: 8,
  learningRate: 1e-3,
  batchSize: 32,
  alpha: 32,
  initialRanks: 4,
  targetRanks: 2,
  dataset: { id: "org/bench", config: "en", wholeSplits: true },
  mainMetric: "accuracy",
  metrics: { validation: { loss: 0.5, accuracy: 0.75 }, test: { loss: 0.5, accuracy: Number.NaN } },
};
const results = async (more: object = {}) => {
  const file = await benchmarkResults({ training: { ...training, ...more } }, "me/model", options);
  return file && Bun.YAML.parse(await file.content.text());
};
const declare = (yaml: string) => {
  Object.assign(hub.repo.files, { "data.csv": text("a"), "eval.yaml": text(yaml) });
};

test("a data set without a declaration gets none, and the files in its folders are not listed", async () => {
  const parts = Array.from({ length: 9 }, (_, i) => [`data/${i}.parquet`, text("a")]);
  Object.assign(hub.repo.files, Object.fromEntries(parts));
  hub.requests.length = 0;
  expect(await results()).toBeUndefined();
  expect(hub.requests.filter(({ path }) => path.includes("/tree/"))).toHaveLength(1);
});

test("each declared task of the evaluated configuration and split gets the main metric", async () => {
  declare(`
name: Bench
tasks:
- {id: 'en "easy"', config: en, split: validation}
- {id: hard, config: en, split: validation}
- {id: other, config: de, split: validation}
- {id: hidden, config: en, split: test}
- {id: unsplit, config: en}
- 7
`);
  const entry = (task: string) => ({
    dataset: { id: "org/bench", task_id: task },
    value: 0.75,
    notes: "accuracy",
    source: { url: "https://huggingface.co/me/model", name: "Model card" },
  });
  expect(await results()).toEqual([entry('en "easy"'), entry("hard")]);
  expect(await results({ mainMetric: undefined })).toBeUndefined();
});

test("a data set of one configuration need not name it", async () => {
  declare("tasks: [{id: only, split: validation}]");
  const dataset = { ...training.dataset, config: undefined };
  expect(await results({ dataset })).toMatchObject([{ dataset: { task_id: "only" } }]);
  expect(await results()).toBeUndefined();
});

test("metrics of a part of the data set are no result, and cost no request", async () => {
  hub.requests.length = 0;
  const dataset = { ...training.dataset, wholeSplits: false };
  expect(await results({ dataset })).toBeUndefined();
  expect(await results({ dataset: undefined })).toBeUndefined();
  expect(hub.requests).toEqual([]);
});

test.each([
  ["tasks: [", "is not valid YAML"],
  ["- a", "has no list of tasks"],
  ["tasks: {a: 1}", "has no list of tasks"],
  ["x".repeat(70_000), "is larger than 65536 bytes"],
])("%# a file that is no declaration is an error", async (yaml, rule) => {
  declare(yaml);
  expect((await rejection(benchmarksOf("org/bench", options))).message).toBe(
    `org/bench: eval.yaml: ${rule}`,
  );
});
