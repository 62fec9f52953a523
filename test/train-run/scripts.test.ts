import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
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
