import { describe, expect, test } from "bun:test";
import { parseArgs } from "../../cli/args.ts";
import { runOptions } from "../../cli/options.ts";
import { referenceFlags, withoutLauncher } from "../../cli/reference-flags.ts";
import { resolveRun } from "../../cli/run-config.ts";
import { settings } from "../../core/train/settings.ts";
import { referenceScripts } from "./reference-scripts.ts";

function resolve(line: string) {
  const args = withoutLauncher(line.trim().split(/\s+/));
  return resolveRun(
    undefined,
    parseArgs(args, { ...settings, ...runOptions, ...referenceFlags }).given,
  );
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

test("flags for what is always so here are named once, with the reason", async () => {
  const { notes } = await resolve(referenceScripts.rte);
  expect(notes).toEqual([
    "no effect here: --do_train (run trains), --do_eval (run evaluates), " +
      "--evaluation_strategy (--eval-steps decides), --save_strategy (--save-steps decides), " +
      "--report_to (TensorBoard files are always written)",
  ]);
  expect((await resolve("--task rte --model dir")).notes).toEqual([]);
});

test("a strategy that would change something is an error", () => {
  const line = "--task_name rte --evaluation_strategy epoch";
  expect(() => resolve(line)).toThrow('--evaluation_strategy must be one of steps, got "epoch"');
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

  test("--method beside them is an error", async () => {
    const both = resolve("--apply_lora --method bitfit");
    await expect(both).rejects.toThrow("--method and --apply_lora exclude each other");
  });
});

describe("the launcher", () => {
  test("is dropped with its own flags", () => {
    const line = "torchrun --nproc_per_node 1 run_glue.py --seed 6";
    expect(withoutLauncher(line.split(" "))).toEqual(["--seed", "6"]);
    expect(withoutLauncher(["rte", "python"])).toEqual(["rte", "python"]);
  });

  test("of several processes is an error: their batches add up", () => {
    const line = "accelerate launch --multi_gpu --num_processes=8 run_summarization.py --seed 6";
    expect(() => withoutLauncher(line.split(" "))).toThrow(
      expect.objectContaining({
        message: "--num_processes is 8, but a run is one process",
        hint: "leave the launcher out, and add --grad-accum 8 for the same batch",
      }),
    );
  });
});
