import { join } from "node:path";
import { excerpt } from "../../core/excerpt.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { isJsonObject, type JsonObject, readJsonObject } from "../../core/io/json-file.ts";
import type { StoredTensor } from "../../core/io/stored-tensor.ts";
import { type DeclaredModel, declareModel } from "../../core/model/open-model.ts";
import type { HeadKind, ModelLimits, ModelPlugin } from "../../core/model/plugin.ts";
import { findings, listed, type PluginSource, type PluginFinding, thrown } from "./finding.ts";

/** A model folder as the plugin reads it. */
export interface CheckedFolder {
  readonly dir: string;
  readonly rawConfig: JsonObject;
  readonly limits: ModelLimits;
  /** The model of each task, without values. */
  readonly models: readonly TaskModel[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** The declared model of one task. */
export interface TaskModel extends DeclaredModel {
  readonly task: HeadKind;
  /** Width of the head's output. */
  readonly labels: number;
}

/** What reading a folder found; `folder` is undefined where the other checks can't go on. */
export interface FolderCheck {
  readonly findings: readonly PluginFinding[];
  readonly folder: CheckedFolder | undefined;
}

/** Reads a model folder with the plugin: its config.json, its limits, the model of each task. */
export function openFolder(plugin: ModelPlugin, dir: string, file: PluginSource): FolderCheck {
  const { ok, fail } = findings("config");
  const rawConfig = readJsonObject(join(dir, "config.json"));
  const { tensors } = openCheckpoint(dir);
  const type = rawConfig["model_type"];
  const wrong: PluginFinding[] = [];
  if (!plugin.modelTypes.some((known) => known === type)) {
    const known = `modelTypes has ${listed(plugin.modelTypes)}`;
    const hint = `add ${excerpt(type)} to modelTypes if the family reads such checkpoints`;
    wrong.push(fail(`config.json's model_type is ${excerpt(type)}, ${known}`, hint));
  }
  try {
    const config = plugin.parseConfig(rawConfig);
    const limits = plugin.limits(config);
    const models = plugin.tasks.map((task) => {
      const labels = labelsOf(task, rawConfig);
      return { ...declareModel(plugin, config, { task, labels }), task, labels };
    });
    const { vocabSize, maxLength } = limits;
    const longest = Number.isFinite(maxLength) ? `at most ${maxLength}` : "any number of";
    const right = ok(`${String(type)}: ${vocabSize} tokens, ${longest} positions`);
    const found = wrong.length > 0 ? wrong : [right];
    return { findings: found, folder: { dir, rawConfig, limits, models, tensors } };
  } catch (error) {
    return { findings: [...wrong, thrown("config", error, file)], folder: undefined };
  }
}

/** The width of a task's head for a checkpoint: classes as config.json counts them, by default 2. */
export function labelsOf(task: HeadKind, rawConfig: JsonObject): number {
  if (task === "regression") return 1;
  if (task === "span") return 2;
  if (task === "generation") return 0;
  const { id2label: names, num_labels: count } = rawConfig;
  if (isJsonObject(names) && Object.keys(names).length > 0) return Object.keys(names).length;
  return typeof count === "number" ? count : 2;
}
