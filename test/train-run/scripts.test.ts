import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { referenceScripts } from "../cli/reference-scripts.ts";
import { commandTest } from "./command.ts";

const { run, path, task } = commandTest();

test("a line of the authors' scripts trains, once its paths and lengths are those of this machine", async () => {
  const out = path("script");
  const line = referenceScripts.rte
    .replace("microsoft/deberta-v3-base", `${task.model} --data_dir ${task.data}`)
    .replace("./output/glue/rte", out)
    .replace("--num_train_epochs 50", "--num_train_epochs 12")
    .replace("--init_warmup 600", "--init_warmup 2")
    .replace("--final_warmup 1800", "--final_warmup 4");
  const words = line.trim().split(/\s+/);
  const { code, stdout, stderr } = await run(["run", ...words, "--device", "reference", "--json"]);
  expect([code, stderr.split("\n")[0]]).toEqual([
    0,
    "no effect here: --do_train (run trains), --do_eval (run evaluates), --evaluation_strategy (--eval-steps decides), --save_strategy (--save-steps decides), --report_to (TensorBoard files are always written)",
  ]);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ task: "rte", method: "adalora", steps: 12, out });
  const ranks: number[] = Object.values(result.ranks);
  expect(ranks).toHaveLength(12);
  expect(ranks.reduce((sum, rank) => sum + rank)).toBe(12); // --target_rank 1
  expect(JSON.parse(readFileSync(path("script", "config.json"), "utf8"))).toMatchObject({
    seed: 6,
    lr: 1.2e-3,
    initRank: 2,
    regOrthCoef: 0.3,
    clsDropout: 0.2,
    epochs: 12,
  });
});

test("the smoke run of the authors' README for SQuAD trains, whose --max_step ends it", async () => {
  const out = path("squad");
  const data = resolve(import.meta.dir, "../fixtures/data/squad-16.json");
  const changes: readonly (readonly [from: string, to: string])[] = [
    ["--target_rank 1", "--target_rank 8"],
    ["--lora_r 2", "--lora_r 12"],
    ["--init_warmup 5000", "--init_warmup 2"],
    ["--final_warmup 50000", "--final_warmup 4"],
    ["--mask_interval 100", "--mask_interval 1"],
    ["--num_train_epochs 12", "--num_train_epochs 1"],
    ["--max_step 300", "--max_step 12"],
    ["--per_device_train_batch_size 16", "--per_device_train_batch_size 4"],
    ["--max_seq_length 384", "--max_seq_length 64"],
    ["--doc_stride 128", "--doc_stride 8"],
    ["microsoft/deberta-v3-base", `${task.model} --train_file ${data} --validation_file ${data}`],
    ["./output/debertav3-base/squadv2", out],
  ];
  const line = changes.reduce(
    (text, [from, to]) => text.replace(from, to),
    referenceScripts.squad_v2.replaceAll(/\s+/g, " "),
  );
  const args = ["run", ...line.trim().split(" "), "--device", "reference", "--limit", "4"];
  const { code, stdout, stderr } = await run([...args, "--json"]);
  expect([code, stderr.split("\n")[1]]).toEqual([
    0,
    "--max_step is read as --max-steps, as by the script's parser",
  ]);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({
    task: "squad_v2",
    steps: 12,
    metrics: { validation: { total: 4 } },
  });
  expect(JSON.parse(readFileSync(path("squad", "config.json"), "utf8"))).toMatchObject({
    docStride: 8,
    maxSteps: 12,
    initRank: 12,
    seed: 9,
  });
});
