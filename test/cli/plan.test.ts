import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../cli/main.ts";
import { createReport } from "../../cli/report.ts";
import { fakeOutput } from "./fake-output.ts";
import { type TinyTask, tinyTask } from "./tiny-task.ts";

let task: TinyTask;
beforeAll(() => {
  task = tinyTask();
});
afterAll(() => rmSync(task.folder, { recursive: true }));

async function plan(...args: string[]) {
  const stdout = fakeOutput();
  const stderr = fakeOutput();
  const line = ["plan", ...args, "--model", task.model, "--data", task.data];
  const code = await main(line, { open: (o) => createReport({ ...o, stdout, stderr }) });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

const short = [
  "rte",
  "--max-steps",
  "30",
  "--init-warmup",
  "10%",
  "--final-warmup",
  "30%",
  "--warmup-steps",
  "3",
  "--threads",
  "2",
];

test("a recipe with flags over it", async () => {
  const { code, stdout, stderr } = await plan(...short);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.replace(task.model, "MODEL")).toMatchInlineSnapshot(`
    "rte: adalora on MODEL

    data        20 training rows, 1 step per epoch
    classes     entailment 10, not_entailment 10
    validation  6 rows: entailment 3, not_entailment 3
    tokens      median 17, 95% up to 22, longest 22; --max-length 320 cuts none
    length      30 steps in 30 epochs, batches of 32
    rate        0.0012, linear, after 3 steps of warm-up; adamw
    warm-up     1–4               rank 48
    budgeting   5–22              rank 48 to 24 in 18 prunings
    final       23–30             rank 24
    budget      ██████████▇▇▇▇▇▆▆▆▆▆▆▅▅▅▅▅▅▅▅▅▅▅▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄
    ranks       4 to an average of 2 in 12 matrices (target rank 2)
    adapter     1,712 to 856 parameters, 6.89% of the model's
    model       12,432 parameters, 306 of them trained
    start       E starts at 0, and 30 steps move it by at most 0.018: --start lora starts it at 1
    device      cpu, f32, 2 threads
    memory      about 84.6 MiB: 48.6 KiB of weights, 513 KiB to train
    disk        up to 79.3 KiB, 37.2 KiB per checkpoint
    time        not measured: --time takes a few steps to estimate it

    as the model reads them
      [CLS] the cat looked at the moon[SEP] the cat looked[SEP] → entailment
      [CLS] the cat saw a moon[SEP] the moon looked[SEP] → not_entailment
    "
  `);
});

test("--json is the plan and a configuration that can be run", async () => {
  const { stdout } = await plan(...short, "--json");
  const { config, ...rest } = JSON.parse(stdout);
  expect(rest).toMatchObject({
    schedule: { trainRows: 20, steps: 30, initWarmup: 3, finalWarmup: 9, prunings: 18 },
    target: { initRank: 4, targetRank: 2, targetTotalRank: 24, targetParameters: 856 },
    matrices: 12,
    modelParameters: 12_432,
    trainedParameters: 306,
    warnings: [],
  });
  expect(rest.schedule.phases[1]).toEqual({ name: "budgeting", first: 4, last: 21 });
  const path = join(task.folder, "saved.json");
  writeFileSync(path, JSON.stringify(config));
  const again = await plan(path, "--json");
  expect(JSON.parse(again.stdout)).toEqual({ config, ...rest });
});

test("a pasted script of the authors", async () => {
  const script =
    "python run_glue.py --task_name rte --apply_adalora --apply_lora --lora_type svd --do_train";
  const { code, stderr, stdout } = await plan(
    ...script.split(" "),
    "--init_warmup",
    "5",
    "--final_warmup",
    "5",
  );
  expect(code).toBe(0);
  expect(stderr).toBe("no effect here: --do_train (run trains)\n");
  expect(stdout).toContain("ranks       4 to an average of 2 in 12 matrices");
});

describe("what run would reject, plan rejects", () => {
  test.each([
    [
      ["rte"],
      "--init-warmup 600 and --final-warmup 1800 leave no steps for pruning: the run has 50",
    ],
    [[...short, "--modules", "query,kee"], '"kee"'],
    [["mnli"], "train.tsv"],
    [[...short, "--label-column", "nope"], '"nope"'],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await plan(...args);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toStartWith("error  ");
    expect(stderr).toContain(message);
  });

  test("a folder that holds a run", async () => {
    const out = join(task.folder, "out");
    mkdirSync(out);
    writeFileSync(join(out, "config.json"), "{}");
    const { code, stderr } = await plan(...short, "--out", out);
    expect(code).toBe(1);
    expect(stderr).toStartWith(`error  ${out} already holds a run\n`);
    expect((await plan(...short, "--out", out, "--overwrite")).code).toBe(0);
    expect(readdirSync(out)).toEqual(["config.json"]);
  });

  test("a run with other settings that is to be resumed, of several seeds too", async () => {
    const { config } = JSON.parse((await plan(...short, "--json")).stdout);
    const out = join(task.folder, "begun");
    const held = (folder: string, seed: number) => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, seed }));
    };
    held(out, config.seed);
    const resume = ["--resume", "--out", out];
    expect((await plan(...short, ...resume)).code).toBe(0);
    const other = await plan(...short, ...resume, "--lr", "0.5");
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining(`${out}: was written by a run with another --lr\n`),
    ]);
    held(join(out, "seed-1"), 1);
    held(join(out, "seed-2"), 3);
    const several = await plan(...short, ...resume, "--seeds", "1,2");
    expect(several.stderr.match(/was written by.*/g)).toEqual([
      "was written by a run with another --seed",
    ]);
  });
});
