import { describe, expect, test } from "bun:test";
import { parseArgs } from "../../cli/args.ts";
import { runOptions } from "../../cli/options.ts";
import { scriptFlags, withoutLauncher } from "../../cli/reference-flags.ts";
import { isPasted } from "../../cli/script-overrides.ts";
import { resolveRun } from "../../cli/run-config.ts";
import { resolveSchedule } from "../../core/run/phases.ts";
import { settings } from "../../core/config/settings.ts";
import { referenceScripts } from "./reference-scripts.ts";

function resolve(line: string) {
  const args = withoutLauncher(line.trim().split(/\s+/));
  const table = { ...settings, ...runOptions, ...scriptFlags(args) };
  return resolveRun(undefined, parseArgs(args, table, { repeats: isPasted(args) }).given);
}

/** Every value of the scripts that is not the same in all of them. */
const expected = [
  ["cola", [3, 32, 0.1, 800, 3500, 10, 64, 8e-4, 25, 100, null, 0.1, 0, 100, 10_000, 10]],
  ["mnli", [3, 16, 0.1, 8000, 50_000, 100, 256, 5e-4, 7, 1000, null, 0.15, 0, 3000, 30_000, 500]],
  ["mrpc", [2, 32, 0.1, 600, 1800, 1, 320, 1e-3, 30, null, 0.1, 0, 0.01, 300, 3000, 100]],
  ["qnli", [2, 32, 0.1, 2000, 8000, 100, 512, 5e-4, 5, 500, null, 0.1, 0.01, 1000, 16_000, 300]],
  ["qqp", [2, 16, 0.1, 8000, 25_000, 100, 320, 8e-4, 5, 2000, null, 0.15, 0.01, 3000, 10_000, 500]],
  ["rte", [2, 32, 0.3, 600, 1800, 1, 320, 1.2e-3, 50, 200, null, 0.2, 0.01, 100, 10_000, 10]],
  ["sst2", [2, 16, 0.1, 6000, 22_000, 100, 128, 8e-4, 24, 1000, null, 0, 0.01, 3000, 10_000, 500]],
  ["stsb", [2, 32, 0.3, 800, 2000, 10, 128, 2.2e-3, 25, 100, null, 0.2, 0.1, 100, 10_000, 50]],
] as const;

const columns =
  "initRank alpha regOrthCoef initWarmup finalWarmup maskInterval maxLength lr epochs warmupSteps " +
  "warmupRatio clsDropout weightDecay evalSteps saveSteps logSteps";

describe("a pasted script of the authors resolves", () => {
  test.each(expected)("%s", async (task, values) => {
    const { config } = await resolve(referenceScripts[task]);
    expect(config).toMatchObject({
      ...Object.fromEntries(columns.split(" ").map((name, i) => [name, values[i]])),
      task,
      model: "microsoft/deberta-v3-base",
      method: "adalora",
      modules: ["query", "key", "value", "intermediate", "layer.output", "attention.output"],
      targetRank: 1,
      targetTotalRank: null,
      budget: null,
      beta1: 0.85,
      beta2: 0.85,
      batchSize: 32,
      maxSteps: null,
      seed: 6,
      out: expect.stringMatching(new RegExp(`^./output/(glue|debertav3-base)/${task}$`)),
    });
  });
});

describe("the scripts for questions and summaries resolve too", () => {
  test("squad_v2: its --max_step ends it, as for the script's own parser", async () => {
    const { config, notes } = await resolve(referenceScripts.squad_v2);
    expect(config).toMatchObject({
      task: "squad_v2",
      model: "microsoft/deberta-v3-base",
      initRank: 2,
      targetRank: 1,
      alpha: 16,
      maxLength: 384,
      docStride: 128,
      batchSize: 16,
      evalBatchSize: 128,
      lr: 1e-3,
      warmupSteps: 1000,
      maxSteps: 300,
      epochs: null,
      evalSteps: 3000,
      saveSteps: 100_000,
      logSteps: 300,
      seed: 9,
    });
    expect(notes).toEqual([
      "no effect here: --do_train (run trains), --do_eval (run evaluates), " +
        "--version_2_with_negative (the task decides), " +
        "--evaluation_strategy (--eval-steps decides), --save_strategy (--save-steps decides), " +
        "--tb_writter_loginterval (--log-steps decides), " +
        "--report_to (TensorBoard files are always written), " +
        "--num_train_epochs (--max_step decides)",
      "--max_step is read as --max-steps, as by the script's parser",
    ]);
    const { diagnostics } = resolveSchedule(config, 130_319);
    expect(diagnostics.problems.map(({ message }) => message)).toEqual([
      "--init-warmup 5000 and --final-warmup 50000 leave no steps for pruning: the run has 300",
    ]);
  });

  test("squad_v2 without it is the run that the authors meant", async () => {
    const { config } = await resolve(referenceScripts.squad_v2.replace("--max_step 300", ""));
    expect(config).toMatchObject({ maxSteps: null, epochs: 12 });
    expect(resolveSchedule(config, 131_754)).toMatchObject({ steps: 98_820, prunings: 438 });
  });

  test.each([
    ["xsum", [12, 8, 6000, 25_000, 8, 25, 768, 64, 8]],
    ["cnn_dailymail", [4, 2, 5000, 85_000, 4, 15, 1024, 160, 4]],
  ] as const)("%s: eight processes are eight batches a step", async (task, values) => {
    const { config, notes } = await resolve(referenceScripts[task]);
    const names =
      "initRank targetRank initWarmup finalWarmup batchSize epochs maxLength maxTargetLength numBeams";
    expect(config).toMatchObject({
      ...Object.fromEntries(names.split(" ").map((name, i) => [name, values[i]])),
      task,
      model: "facebook/bart-large",
      method: "adalora",
      modules: ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
      alpha: 32,
      lr: 5e-4,
      warmupSteps: 3000,
      gradAccum: 8,
      maxGradNorm: 0,
      evalBatchSize: values[4],
      seed: 9,
      out: `./output/bart-large/${task}`,
    });
    expect(notes).toEqual([
      `no effect here: ${task === "xsum" ? "" : "--dataset_config (the recipe's own), "}` +
        "--max_length (--max_source_length decides), " +
        "--pad_to_max_length (padding is never computed), " +
        "--with_tracking (TensorBoard files are always written), " +
        "--tb_writter_loginterval (--log-steps decides)",
      "8 processes become one: --grad-accum 8 makes the same batch",
    ]);
  });

  test("what would be another data set is an error", async () => {
    const line = "--model_name_or_path dir --dataset_name cnn_dailymail --dataset_config 1.0.0";
    expect(() => resolve(line)).toThrow('--dataset_config must be one of 3.0.0, got "1.0.0"');
    const negative = resolve("--dataset_name squad --version_2_with_negative");
    await expect(negative).rejects.toThrow(
      "--version_2_with_negative does not apply to task squad",
    );
  });

  test("one length alone is the sources', by either name", async () => {
    for (const flag of ["--max_length", "--max_source_length"]) {
      const { config } = await resolve(`--dataset_name xsum ${flag} 512`);
      expect(config.maxLength).toBe(512);
    }
  });
});

test("flags for what is always so here are named once, with the reason", async () => {
  const { notes } = await resolve(referenceScripts.rte);
  expect(notes).toEqual([
    "no effect here: --do_train (run trains), --do_eval (run evaluates), " +
      "--evaluation_strategy (--eval-steps decides), --save_strategy (--save-steps decides), " +
      "--report_to (TensorBoard files are always written)",
  ]);
  expect((await resolve("--task rte --model dir")).notes).toEqual([]);
});

describe("a strategy", () => {
  test("that would change something is an error", async () => {
    await expect(resolve("--task_name rte --evaluation_strategy epoch")).rejects.toMatchObject({
      message: "--evaluation_strategy epoch is not supported",
      hint: "--eval-steps: this run evaluates every 100 steps",
    });
    await expect(resolve("--task_name rte --save_strategy epoch")).rejects.toMatchObject({
      message: "--save_strategy epoch is not supported",
      hint: "--save-steps N; the last and best step are always saved",
    });
  });

  test("that is the run's own is accepted: one evaluation per epoch", async () => {
    const line = "--task classification --model dir --data x.csv --eval_strategy epoch";
    expect((await resolve(line)).config.evalSteps).toBeNull();
  });
});

describe("the method follows from the script's flags", () => {
  test.each([
    ["--apply_lora --apply_adalora --lora_type svd", "adalora"],
    ["--apply_lora --apply_rankselector --lora_type svd", "adalora"],
    ["--apply_lora --lora_type svd", "svd-lora"],
    ["--apply_lora --lora_type frd", "lora"],
    ["--apply_lora", "lora"],
    ["--apply_bitfit", "bitfit"],
    ["--apply_lora False", "full"],
    ["", "adalora"],
  ] as const)("%s: %s", async (flags, method) => {
    const line = `--task_name rte --model_name_or_path dir ${flags}`;
    expect((await resolve(line)).config.method).toBe(method);
  });

  test("pruned LoRA pairs are another method", async () => {
    const message = "--apply_adalora prunes SVD triplets only: add --lora_type svd";
    const hint = "for LoRA pairs there is --method prune-lora";
    await expect(resolve("--apply_lora --apply_adalora")).rejects.toMatchObject({ message, hint });
  });

  test("--method before them is an error", async () => {
    const both = resolve("--method bitfit --apply_lora");
    await expect(both).rejects.toThrow("--method and --apply_lora exclude each other");
  });
});

describe("the launcher", () => {
  test("is dropped with its own flags", () => {
    const line = "torchrun --nproc_per_node 1 run_glue.py --seed 6";
    expect(withoutLauncher(line.split(" "))).toEqual(["--seed", "6"]);
    expect(withoutLauncher(["rte", "python"])).toEqual(["rte", "python"]);
  });

  test("of several processes makes as many batches a step: theirs add up", async () => {
    const launcher = "accelerate launch --multi_gpu --num_processes=8";
    const line = `${launcher} run.py --task_name rte --model_name_or_path dir`;
    const { config, notes } = await resolve(line);
    expect([config.gradAccum, notes]).toEqual([
      8,
      ["8 processes become one: --grad-accum 8 makes the same batch"],
    ]);
    const both = await resolve(`${line} --gradient_accumulation_steps 2`);
    expect(both.config.gradAccum).toBe(16);
  });

  test("in mixed precision is translated or refused, as the script's own flags are", async () => {
    const line = (precision: string) =>
      `accelerate launch --mixed_precision=${precision} run.py --task_name rte --model_name_or_path dir`;
    expect((await resolve(line("bf16"))).config.dtype).toBe("bf16");
    expect((await resolve(line("no"))).config.dtype).toBe("f32");
    await expect(resolve(line("fp16"))).rejects.toThrow("--fp16 is not supported");
  });
});

describe("a flag appended to a pasted line overrides it", () => {
  const { rte } = referenceScripts;

  test("by the same or another name, and says so", async () => {
    const { config, notes } = await resolve(`${rte} --lr 1e-4 --seed 7 --epochs 3`);
    expect(config).toMatchObject({ lr: 1e-4, seed: 7, epochs: 3 });
    expect(notes.at(-1)).toBe(
      "overridden: --learning_rate by --lr, --seed, --num_train_epochs by --epochs",
    );
  });

  test.each([
    ["--budget 0.32M", { budget: "0.32M", targetRank: null, initRank: 2 }, "--target_rank"],
    ["--warmup-ratio 0.1", { warmupRatio: 0.1, warmupSteps: null }, "--warmup_steps"],
    ["--max-steps 100", { maxSteps: 100, epochs: null }, undefined],
  ])("as an alternative: %s", async (flag, values, overridden) => {
    const { config, notes } = await resolve(`${rte} ${flag}`);
    expect(config).toMatchObject(values);
    if (overridden === undefined) return;
    expect(notes.at(-1)).toBe(`overridden: ${overridden} by ${flag.split(" ")[0]}`);
  });

  test("the method too: what it has no use for is left out", async () => {
    const { config, notes } = await resolve(`${rte} --method lora`);
    expect(config).toMatchObject({ method: "lora", initRank: 2, alpha: 32, lr: 1.2e-3 });
    expect(notes.slice(-2)).toEqual([
      "overridden: --apply_adalora by --method",
      "not used by method lora: --target_rank, --reg_orth_coef, --init_warmup, --final_warmup, " +
        "--mask_interval, --beta1, --beta2",
    ]);
  });

  test("what a script's flag stands for too", async () => {
    const line = "--task_name rte --model_name_or_path dir --bf16 --no_cuda";
    expect((await resolve(line)).config).toMatchObject({ dtype: "bf16", device: "cpu" });
    const { config } = await resolve(`${line} --dtype f32 --device reference`);
    expect(config).toMatchObject({ dtype: "f32", device: "reference" });
  });

  test("but in a line of one's own a flag is given once", () => {
    expect(() => resolve("--task rte --seed 1 --seed 2")).toThrow("--seed is given twice");
  });
});
