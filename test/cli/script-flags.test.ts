import { describe, expect, test } from "bun:test";
import { parseArgs } from "../../cli/args.ts";
import { readLine } from "../../cli/command.ts";
import { spellings } from "../../cli/names.ts";
import { runOptions } from "../../cli/options.ts";
import { scriptFlags } from "../../cli/reference-flags.ts";
import { resolveRun } from "../../cli/run-config.ts";
import { ignoredFlags, refusedFlags } from "../../cli/script-flags.ts";
import { isPasted } from "../../cli/script-overrides.ts";
import { runSettings } from "../../cli/run-settings.ts";
import { isSettingName } from "../../core/config/run-config.ts";
import { AdaloraError } from "../../core/errors.ts";
import trainer from "./trainer-arguments.json" with { type: "json" };

const table = { ...runSettings, ...runOptions, ...scriptFlags([]) };
const names = spellings(table);
const keyOf = (argument: string) => names.get(argument.replaceAll("_", "-"));

/** The run of a line of own data, to which flags are appended. */
function resolve(...flags: readonly string[]) {
  const line = "--task_name classification --model_name_or_path dir --train_file x.csv";
  const args = [...line.split(" "), ...flags];
  return resolveRun(undefined, parseArgs(args, table, { repeats: isPasted(args) }).given);
}

async function refusal(...flags: readonly string[]): Promise<AdaloraError | undefined> {
  try {
    await resolve(...flags);
    return undefined;
  } catch (error) {
    if (error instanceof AdaloraError) return error;
    throw error;
  }
}

/** Arguments of the scripts themselves, besides those of the trainer. */
const scripts = {
  "transformers' run_glue":
    "task_name dataset_name dataset_config_name max_seq_length overwrite_cache pad_to_max_length " +
    "max_train_samples max_eval_samples max_predict_samples train_file validation_file test_file " +
    "model_name_or_path config_name tokenizer_name cache_dir use_fast_tokenizer model_revision " +
    "token trust_remote_code ignore_mismatched_sizes use_auth_token",
  "transformers' run_qa":
    "dataset_name dataset_config_name train_file validation_file test_file overwrite_cache " +
    "preprocessing_num_workers max_seq_length pad_to_max_length max_train_samples " +
    "max_eval_samples max_predict_samples version_2_with_negative null_score_diff_threshold " +
    "doc_stride n_best_size max_answer_length model_name_or_path config_name tokenizer_name " +
    "cache_dir model_revision token trust_remote_code",
  "transformers' run_summarization":
    "model_name_or_path config_name tokenizer_name cache_dir use_fast_tokenizer model_revision " +
    "token trust_remote_code resize_position_embeddings lang dataset_name dataset_config_name " +
    "text_column summary_column train_file validation_file test_file overwrite_cache " +
    "preprocessing_num_workers max_source_length max_target_length val_max_target_length " +
    "pad_to_max_length max_train_samples max_eval_samples max_predict_samples num_beams " +
    "ignore_pad_token_for_loss source_prefix forced_bos_token",
  "the authors' run_glue and run_qa":
    "max_val_samples max_test_samples use_auth_token apply_lora lora_type lora_module lora_alpha " +
    "lora_r lora_path apply_adapter adapter_path adapter_type adapter_size apply_bitfit " +
    "reg_loss_wgt reg_orth_coef masking_prob apply_adalora target_rank target_total_rank " +
    "init_warmup final_warmup mask_interval beta1 beta2 tb_writter_loginterval",
  "the authors' run_summarization_no_trainer":
    "max_length use_slow_tokenizer max_train_steps num_warmup_steps model_type push_to_hub " +
    "hub_model_id hub_token checkpointing_steps resume_from_checkpoint with_tracking report_to " +
    "cls_dropout",
  "earlier TrainingArguments, the authors' among them":
    "adafactor cls_dropout evaluation_strategy fp16_backend fp16_opt_level fsdp_min_num_params " +
    "group_by_length half_precision_backend include_inputs_for_metrics jit_mode_eval logging_dir " +
    "mp_parameters no_cuda overwrite_output_dir past_index per_gpu_eval_batch_size " +
    "per_gpu_train_batch_size push_to_hub_model_id push_to_hub_organization push_to_hub_token " +
    "ray_scope root_output_dir sharded_ddp torchdynamo tpu_metrics_debug tpu_num_cores " +
    "use_deterministic_algorithms use_ipex use_legacy_prediction_loop warmup_ratio xpu_backend " +
    "dispatch_batches split_batches include_tokens_per_second save_safetensors use_mps_device",
};

describe("every argument is a flag of run:", () => {
  test(`TrainingArguments and Seq2SeqTrainingArguments, transformers ${trainer.transformers}`, () => {
    const all = Object.keys(trainer.arguments);
    expect(all.length).toBe(119);
    expect(all.filter((argument) => keyOf(argument) === undefined)).toEqual([]);
  });

  test.each(Object.entries(scripts))("%s", (_, list) => {
    expect(list.split(" ").filter((argument) => keyOf(argument) === undefined)).toEqual([]);
  });
});

describe("an argument at the trainer's own default", () => {
  // What these defaults mean is not what run does, or not for this task.
  const refused: Readonly<Record<string, string>> = {
    do_train: "adalora eval and adalora predict use a trained model: --adapter DIR",
    eval_strategy: "run always evaluates; --eval-limit N makes that short",
  };

  test.each(Object.entries(trainer.arguments))("%s %p", async (argument, value) => {
    if (value === null) return;
    const error = await refusal(`--${argument}`, ...(value === "" ? [""] : [value]));
    expect(error?.hint ?? error?.message).toBe(refused[argument]);
  });
});

describe("a flag is translated, or has a note, or is refused with what to use instead:", () => {
  test.each(Object.keys(ignoredFlags))("%s has a note", async (key) => {
    if (key === "version2WithNegative") return; // of questions alone
    const setting = ignoredFlags[key]!;
    const flag = `--${key.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`;
    const word = setting.choices?.[0] ?? (setting.hint === undefined ? "True" : "5");
    const other = key === "doEval" || key === "doPredict" ? ["--do_train"] : [];
    const { notes } = await resolve(...other, flag, word);
    expect(notes.join()).toContain(`${flag} (${setting.about})`);
  });

  test.each(Object.entries(refusedFlags))("%s is refused", async (key, { setting, instead }) => {
    const flag = `--${key.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`;
    const word = setting.hint === undefined ? [] : ["something"];
    const error = await refusal(flag, ...word);
    expect(error?.message).toStartWith(flag);
    expect(error?.message).toEndWith(" is not supported");
    expect(error?.hint).toBe(instead);
    expect(instead).toMatch(/--[a-z]|adalora|hf upload|HF_|generation_config|log.jsonl/);
    const named = [...instead.matchAll(/--([a-z][\w-]+)/g)].map(([, name = ""]) => name);
    const ofEval = ["adapter", "input"];
    for (const name of named)
      expect([name, ofEval.includes(name) || names.has(name)]).toEqual([name, true]);
  });

  test.each([
    [["--bf16"], { dtype: "bf16" }],
    [["--bf16", "False"], { dtype: "f32" }],
    [["--fp16", "False"], {}],
    [["--use_cpu"], { device: "cpu" }],
    [["--train_sampling_strategy", "random"], { bucketed: false }],
    [["--sortish_sampler"], { bucketed: true }],
    [["--warmup_steps", "0.1"], { warmupRatio: 0.1, warmupSteps: null }],
    [["--max_steps", "-1"], { maxSteps: null, epochs: 3 }],
    [["--optim", "adamw_torch_fused"], { optimizer: "adamw" }],
    [["--metric_for_best_model", "eval_accuracy"], { metric: "accuracy" }],
    [["--metric_for_best_model", "loss", "--greater_is_better", "False"], { metric: "loss" }],
    [["--activation_checkpointing"], { checkpointing: true }],
    [["--per_gpu_train_batch_size", "4"], { batchSize: 4 }],
    [["--max_val_samples", "4"], { evalLimit: 4 }],
    [["--checkpointing_steps", "9"], { saveSteps: 9 }],
    [["--summary_column", "x"], { labelColumn: "x" }],
    [["--data_seed", "42"], { seed: 42 }],
  ])("%j", async (flags, expected) => {
    expect((await resolve(...flags)).config).toMatchObject(expected);
  });

  test.each([
    [["--greater_is_better", "False"], "--greater_is_better false is not supported"],
    [["--data_seed", "1"], "--data_seed 1 is not supported"],
    [["--do_eval"], "--do_eval without --do_train is not supported"],
    [["--do_train", "False"], "--do_train false is not supported"],
    [["--report_to", "wandb"], "--report_to wandb is not supported"],
    [["--token", "hf_secret"], "--token is not supported"],
    [["--optim", "lion_8bit"], '--optim must be one of adamw, adamw-hf, got "lion_8bit"'],
    [["--bf16", "--fp16"], "--fp16 is not supported"],
  ])("%j is refused", async (flags, message) => {
    expect((await refusal(...flags))?.message).toBe(message);
  });

  test("a summary's two lengths must be one", async () => {
    const line = (more: string) =>
      `--task xsum --model_name_or_path dir --max_target_length 64 ${more}`.split(" ");
    const run = async (more: string) =>
      (await resolveRun(undefined, parseArgs(line(more), table).given)).config.maxTargetLength;
    expect(await run("--val_max_target_length 64")).toBe(64);
    await expect(run("--val_max_target_length 142")).rejects.toThrow(
      "--max_target_length and --val_max_target_length exclude each other",
    );
  });
});

test("a mistyped flag is answered with one of run's own", async () => {
  const { run } = await import("../../cli/commands/run.ts");
  const hint = (flag: string) => {
    let found: unknown;
    try {
      readLine(run, [flag, "x"]);
    } catch (error) {
      found = error;
    }
    return found instanceof AdaloraError ? found.hint : "accepted";
  };
  expect(hint("--fp15")).toBeUndefined();
  expect(hint("--data_sed")).toBeUndefined(); // not --data_seed, which is refused
  expect(hint("--learning_rat")).toBe("did you mean --learning-rate?");
});

test("no other program's flag hides one of run's own names", () => {
  const own = spellings({ ...runSettings, ...runOptions });
  const moved = [...own].filter(([name, key]) => names.get(name) !== key);
  expect(moved).toEqual([["val-max-target-length", "maxTargetLength"]]);
  const extra = Object.keys(scriptFlags([])).filter((key) => !isSettingName(key));
  for (const key of extra) expect(Object.keys(runOptions)).not.toContain(key);
});
