import { basename, extname, join } from "node:path";
import type { Backend } from "../backend.ts";
import { isOneOf, adapterMethods, svdMethods } from "../config/method.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { editedJson } from "../io/json-edit.ts";
import { ADAPTER_FACTS, writePeftAdapter } from "../io/peft.ts";
import { writeSafetensors } from "../io/safetensors.ts";
import { float32Tensor } from "../io/stored-tensor.ts";
import { factsJson } from "../model/adapter-facts.ts";
import { adaLoraAdapter, loraAdapter } from "../model/adapter-files.ts";
import type { Predictions } from "../tasks/task.ts";
import type { Trainer } from "../train/trainer.ts";
import { adapterFolderFiles, baseName, modelFacts, type SavedAt } from "./adapter-folder.ts";
import type { PreparedRun } from "./prepare.ts";
import { runFiles } from "./run-folder.ts";

/**
 * Rank of each adapted matrix, keyed "….lora_E" like the reference's `rank_pattern.json`. Includes
 * matrices whose triplets were all pruned before the run. `kept`: the triplets of each adapter that
 * a mask kept.
 */
export function rankPattern(
  { adapters }: Pick<Trainer<never>, "adapters">,
  kept: readonly (readonly boolean[])[],
  { from }: Pick<PreparedRun, "from">,
): Record<string, number> {
  const empty = from?.layers.filter(({ rank }) => rank === 0) ?? [];
  return Object.fromEntries([
    ...adapters.map(({ path }, i) => [`${path}.lora_E`, kept[i]!.filter(Boolean).length]),
    ...empty.map(({ path }) => [`${path}.lora_E`, 0]),
  ]);
}

/** A run whose weights are to be saved in its folder. */
export interface RunToSave {
  readonly out: string;
  readonly backend: Backend;
  readonly run: PreparedRun;
  readonly trainer: Trainer<never>;
}

/**
 * Saves the trained weights: a PEFT adapter in `adapter/` for methods with adapters, else a full
 * checkpoint in `model/`. `which` "best" writes to `best_adapter/` or `best_model/` instead. `at`:
 * what the adapter's card says of these weights.
 */
export function writeTrained(
  { out, backend, run, trainer }: RunToSave,
  which: "last" | "best",
  at: SavedAt,
): void {
  const { config, target, schedule } = run;
  if (!isOneOf(config.method, adapterMethods) || !target) {
    const folder = which === "last" ? runFiles.model : runFiles.bestModel;
    writeModel(join(out, folder), backend, run);
    return;
  }
  const trained = trainer.arena.parameters.filter(({ name }) => !/\.lora_[AEB]$/.test(name));
  const parts = { adapters: trainer.adapters, trained };
  const common = {
    taskType: run.spec.peftType,
    ...baseName(config, run.files.dir),
    alpha: config.alpha,
  };
  const layers = run.from?.layers ?? [];
  const adapter = isOneOf(config.method, svdMethods)
    ? adaLoraAdapter(backend, { ...parts, layers }, trainer.kept(), {
        ...common,
        initRank: target.initRank,
        targetRank: Math.max(1, Math.round(target.targetRank)),
        initWarmup: schedule.initWarmup,
        finalWarmup: schedule.finalWarmup,
        maskInterval: config.maskInterval,
        totalSteps: schedule.steps,
        beta1: config.beta1,
        beta2: config.beta2,
        regOrthCoef: config.regOrthCoef,
      })
    : loraAdapter(backend, { ...parts, layers }, trainer.kept(), common);
  const folder = which === "last" ? runFiles.adapter : runFiles.bestAdapter;
  writePeftAdapter(join(out, folder), adapter, adapterFolderFiles(run, adapter, at));
}

/** Writes a full checkpoint in transformers' layout, tokenizer included; config.json comes last. */
function writeModel(dir: string, backend: Backend, run: PreparedRun): void {
  const { files, declared, spec } = run;
  const tensors = [...declared.tree.parameters.values()].map(({ name, storedShape, buffer }) => {
    const bytes = () =>
      float32Tensor(storedShape, Float32Array.from(backend.download(buffer))).bytes;
    return [name, { dtype: "F32" as const, shape: storedShape, bytes }] as const;
  });
  writeSafetensors(join(dir, "model.safetensors"), new Map(tensors));
  const labels = spec.labelNames ?? (spec.kind === "regression" ? ["LABEL_0"] : undefined);
  const named = labels && {
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
  const { tokenizer } = files.tokenize;
  for (const { path, bytes } of tokenizer.files) writeFileAtomic(join(dir, basename(path)), bytes);
  if (Object.keys(tokenizer.config).length > 0)
    writeJson(join(dir, "tokenizer_config.json"), tokenizer.config);
  if (files.origin) {
    const facts = factsJson({ ...modelFacts(run), training: undefined });
    writeFileAtomic(join(dir, ADAPTER_FACTS), facts);
  }
  const config = editedJson(join(files.dir, runFiles.config), named ?? {});
  writeFileAtomic(join(dir, runFiles.config), config);
}

/** Writes a value as indented JSON, atomically. */
export function writeJson(path: string, value: object): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Writes `predictions.jsonl`, one object per row, and the task's other prediction files. `split` is
 * appended to the file names. Returns the paths.
 */
export function writePredictions(
  dir: string,
  { records, files }: Pick<Predictions, "records" | "files">,
  split?: string,
): string[] {
  const lines = records.map((record) => `${JSON.stringify(record)}\n`).join("");
  const named = (name: string) => {
    const ending = extname(name);
    return split === undefined ? name : `${basename(name, ending)}_${split}${ending}`;
  };
  const contents = [[named("predictions.jsonl"), lines] as const];
  for (const [name, text] of files) contents.push([named(name), text]);
  return contents.map(([name, text]) => {
    const path = join(dir, name);
    writeFileAtomic(path, text);
    return path;
  });
}
