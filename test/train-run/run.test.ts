import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { wholeRecords } from "../../core/io/tensorboard-event.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { rankFrames } from "../../cli/report-page/rank-frames.ts";
import { readLog } from "../../cli/report-page/read-log.ts";
import { readJsonLog } from "../helpers/json-log.ts";
import { adapterBytes } from "../helpers/run-results.ts";
import { commandTest, cpu, lossesIn, predictionsIn } from "./command.ts";

const { run, training, path, task } = commandTest();

/** The losses of the 24 steps, on the reference backend: f64, so that they hold on any machine. */
const expectedLosses = [
  0.7246119, 0.7088505, 0.6477302, 0.6429299, 0.6517065, 1.0381595, 0.6825173, 0.640787, 0.7247435,
  0.680575, 0.6500593, 0.657876, 0.7167937, 0.5995547, 0.7055871, 0.5875421, 0.6942377, 0.7031723,
  0.6187131, 0.6149067, 0.6091097, 0.6397558, 0.6539108, 0.62995,
];

const readJson = (...names: string[]) => JSON.parse(readFileSync(path(...names), "utf8"));

describe("a run on the reference backend", () => {
  const out = path("reference");

  test("has the losses that it always had, and says what it did", async () => {
    const { code, stdout, stderr } = await run(training({ out }));
    expect(code).toBe(0);
    const measured = stdout
      .replace(/in \d+ s/, "in N s")
      .replace(/\d+(\.\d)? MiB,/, "N MiB,")
      .replace(/(time +)\d+ s, \d+ s/, "$1N s, N s");
    expect(stderr.indexOf("data        20 training rows")).toBeLessThan(stderr.indexOf("step  1"));
    expect(stderr).toContain("validation  6 rows: entailment 3, not_entailment 3\n");
    expect(measured).toMatchInlineSnapshot(`
      "rte: adalora, 24 steps in N s

      validation accuracy               0.8333
      validation loss                   0.6314
      majority class                    0.5000
      best step                         24
      peak memory                       N MiB, 96.7 MiB predicted
      time                              N s, N s predicted

      class             precision  recall      f1  rows  as 1  as 2
      1 entailment         0.7500  1.0000  0.8571     3     3     0
      2 not_entailment     1.0000  0.6667  0.8000     3     1     2

      layer  query  key  value  attention.output  intermediate  layer.output    sum
          0      1    2      1                 2             2             0      8
          1      0    2      1                 1             0             0      4
        sum      1    4      2                 3             2             0     12

      12 of 36 ranks kept, 4 of 12 matrices at rank 0

      files in ../reference
      "
    `);
    expect(stderr).toContain(
      "pooler and classifier are initialized at random: the checkpoint has none\n",
    );
    const losses = lossesIn(out);
    expect(losses).toHaveLength(24);
    losses.forEach((loss, i) => expect(loss).toBeCloseTo(expectedLosses[i] ?? 0, 6));
  });

  test("counts steps from 1 in its log and curves, as on the console", async () => {
    const log = readJsonLog(join(out, "log.jsonl"));
    const stepsOf = (key: string) => log.flatMap((one) => (key in one ? [one["step"]] : []));
    expect(stepsOf("task_loss")).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
    expect(stepsOf("evaluation")).toEqual([8, 16, 24]);
    const dir = join(out, "tensorboard");
    const records = readdirSync(dir).flatMap((name) => [
      ...wholeRecords(readFileSync(join(dir, name))),
    ]);
    const curve = (tag: string) => records.flatMap((one) => (one.tag === tag ? [one.step] : []));
    expect(curve("train/loss")).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
    expect(curve("Eval_rte/accuracy")).toEqual([8, 16, 24]);
    const rare = path("rare");
    const { stderr } = await run(training({ out: rare, "log-steps": 10 }));
    const console = stderr.matchAll(/^step (\d+)\/24/gm).map(([, step]) => Number(step));
    const logged = readJsonLog(join(rare, "log.jsonl")).filter((one) => "task_loss" in one);
    expect(logged.map(({ step }) => step)).toEqual([10, 20, 24]);
    expect([...console]).toEqual([10, 20, 24]);
  });

  test("logs which triplets each mask changed: their replay is the result and the budget", () => {
    const log = readLog(join(out, "log.jsonl"));
    const { matrices, frames } = rankFrames(log);
    const ranks = readJson("reference", "rank_pattern.json");
    const last = matrices.map(({ path: name }, i) => [`${name}.lora_E`, frames.at(-1)?.ranks[i]]);
    expect(Object.fromEntries(last)).toEqual(ranks);
    const budgets = new Map(
      log.curves.budget.steps.map((step, i) => [step, log.curves.budget.values[i]]),
    );
    expect(log.masks.length).toBeGreaterThan(4);
    for (const { step, kept, singular = [], importance = [] } of log.masks) {
      expect(kept).toBe(budgets.get(step)!);
      expect(singular.flat()).toHaveLength(kept);
      expect([0, matrices.length]).toContain(importance.length);
    }
    expect(
      log.masks[0]?.importance?.every(([mean = 0, most = 0]) => mean > 0 && most >= mean),
    ).toBe(true);
  });

  test("leaves a report with the numbers of its log and its metrics", () => {
    const page = readFileSync(join(out, "report.html"), "utf8");
    const [, json = ""] = /id="report-data">(.*?)<\/script>/s.exec(page) ?? [];
    const { specs } = JSON.parse(json);
    const drawn = specs["task-loss"].data.values.map(({ mean }: { mean: number }) => mean);
    expect(drawn).toEqual(lossesIn(out));
    const { accuracy } = readJson("reference", "metrics.json").metrics.validation;
    expect(specs["metric-accuracy"].data.values.at(-1)).toMatchObject({
      step: 24,
      value: accuracy,
    });
  });

  test("leaves the files that the README names", () => {
    expect(readdirSync(out).toSorted()).toEqual([
      "adapter",
      "best_adapter",
      "config.json",
      "log.jsonl",
      "metrics.json",
      "predictions.jsonl",
      "rank_pattern.json",
      "report.html",
      "tensorboard",
    ]);
    expect(readJson("reference", "metrics.json")).toMatchObject({
      task: "rte",
      steps: 24,
      stopped_by: "end",
      best: { step: 24 },
      majority_baseline: 0.5,
      baseline: { accuracy: 0.5 },
      peak_memory: { process: expect.any(Number), buffers: expect.any(Number) },
      environment: {
        version: "0.1.0",
        device: "reference",
        dtype: "f64",
        threads: null,
        cpu: expect.any(String),
      },
    });
  });

  test("says what the time went to, and how each class was predicted", () => {
    const { seconds, time, classes, metrics } = readJson("reference", "metrics.json");
    expect(time.start + time.training + time.evaluation).toBeCloseTo(seconds, 1);
    expect(Math.min(time.start, time.training, time.evaluation)).toBeGreaterThan(0);
    const { labels, support, confusion_matrix: confusion } = classes.validation;
    expect([labels, support]).toEqual([
      ["entailment", "not_entailment"],
      [3, 3],
    ]);
    const correct = confusion[0][0] + confusion[1][1];
    expect(correct / 6).toBe(metrics.validation.accuracy);
  });

  test("leaves a PEFT adapter with the reported ranks", () => {
    const adapter = readPeftAdapter(join(out, "adapter"));
    const ranks = Object.fromEntries(
      adapter.modules.map(({ path: name, A }) => [`${name}.lora_E`, A.shape[0]]),
    );
    expect(ranks).toEqual(readJson("reference", "rank_pattern.json"));
    expect(Object.values(ranks).reduce((sum: number, rank) => sum + (rank ?? 0), 0)).toBe(12);
    expect([...adapter.saved.keys()].toSorted()).toEqual([
      "classifier.bias",
      "classifier.weight",
      "pooler.dense.bias",
      "pooler.dense.weight",
    ]);
    expect(adapter.baseModel).toBe(null); // a path means nothing elsewhere
  });

  test("is what predict and eval find again from its folder alone", async () => {
    const dev = join(task.data, "dev.tsv");
    const device = ["--device", "reference"];
    const found = await run(["predict", "--adapter", out, "--input", dev, ...device]);
    const [own, again] = [
      predictionsIn(readFileSync(join(out, "predictions.jsonl"), "utf8")),
      predictionsIn(found.stdout),
    ];
    expect(again.map(({ prediction }) => prediction)).toEqual(
      own.map(({ prediction }) => prediction),
    );
    again.forEach(({ logits }, row) =>
      logits.forEach((logit, i) => expect(logit).toBeCloseTo(own[row]?.logits[i] ?? 0, 6)),
    );
    const { stdout } = await run(["eval", "--adapter", join(out, "adapter"), ...device, "--json"]);
    const { metrics } = readJson("reference", "metrics.json");
    const evaluated = JSON.parse(stdout);
    expect(evaluated).toMatchObject({ task: "rte", majority_baseline: 0.5, rows: 6 });
    expect(evaluated.classes).toEqual(readJson("reference", "metrics.json").classes);
    expect(evaluated.metrics.validation.accuracy).toBe(metrics.validation.accuracy);
    expect(evaluated.metrics.validation.loss).toBeCloseTo(metrics.validation.loss, 6);
  });

  test("is repeated bit for bit from its config.json, from another folder", async () => {
    const again = path("again");
    const { code } = await run(["run", join(out, "config.json"), "--out", again, "--quiet"]);
    expect(code).toBe(0);
    expect(adapterBytes(again).equals(adapterBytes(out))).toBe(true);
    expect(readJson("again", "config.json")).toEqual(readJson("reference", "config.json"));
  });
});

describe.skipIf(cpu.backend === undefined)("a run on the CPU backend", () => {
  test("has the reference's losses within f32, and the same bits each time", async () => {
    const train = (to: string) => run(training({ device: "cpu", threads: 1, out: to }));
    const [out, again] = [path("cpu"), path("cpu-again")];
    expect((await train(out)).code).toBe(0);
    lossesIn(out).forEach((loss, i) => expect(loss).toBeCloseTo(expectedLosses[i] ?? 0, 3));
    const { environment } = readJson("cpu", "metrics.json");
    expect(environment).toMatchObject({ device: "cpu", dtype: "f32", threads: 1 });
    expect(environment.kernels).toMatch(/^(avx2|avx512|avx512bf16|amx)$/);
    await train(again);
    expect(adapterBytes(again).equals(adapterBytes(out))).toBe(true);
  });
});

test("several seeds run into folders of their own, and are summed up", async () => {
  const out = path("seeds");
  const args = training({ "max-steps": 6, seeds: "1,2", out, json: true });
  args.splice(args.indexOf("--seed"), 2);
  const { code, stdout } = await run(args);
  expect(code).toBe(0);
  const accuracy = ["seed-1", "seed-2"].map(
    (seed) => readJson("seeds", seed, "metrics.json").metrics.validation.accuracy,
  );
  const { metrics } = JSON.parse(stdout);
  expect(metrics["validation accuracy"].values).toEqual(accuracy);
  const whole = await run(["eval", "--model", join(out, "seed-1"), "--device", "reference"]);
  expect([whole.code, whole.stderr]).toEqual([
    1,
    `error  ${out}/seed-1: holds an adapter, not a full model\n  hint: use --adapter ${out}/seed-1\n`,
  ]);
});
