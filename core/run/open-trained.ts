import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Backend } from "../backend.ts";
import { defaultSettings, type Layer } from "../config/run-config.ts";
import { inferenceSettings, settings } from "../config/settings.ts";
import { errors } from "../errors.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { isJsonObject } from "../io/json-file.ts";
import { applyAdapter, savedParameters } from "../model/adapter-files.ts";
import { adoptWeights, type MatchedWeights, matchWeights } from "../model/load-weights.ts";
import {
  declareRunModel,
  type ModelFiles,
  openModelFiles,
  type Sources,
} from "../model/model-files.ts";
import type { DeclaredModel } from "../model/open-model.ts";
import { readFacts } from "../model/adapter-facts.ts";
import { checkLayers } from "../model/starting-layers.ts";
import type { Model } from "../model/plugin.ts";
import { type ClassOrder, classOrder } from "../tasks/class-order.ts";
import { TOKENIZER_JSON } from "../text/load-tokenizer.ts";
import { taskNamed } from "../tasks/index.ts";
import type { TaskOptions } from "../tasks/task-options.ts";
import type { RunSpec, Task } from "../tasks/task.ts";
import { type HeldOut, readHeldOut } from "./held-out.ts";
import { modelFolder } from "./model-folder.ts";
import { runErrors } from "./run-errors.ts";
import { runFiles } from "./run-folder.ts";
import { type AdapterFiles, openAdapter } from "./open-adapter.ts";
import type { Which } from "./run-of.ts";
import { weightsOf, type WeightsOf } from "./run-weights.ts";
import { readAdapterSettings, readSavedConfig } from "./saved-config.ts";
import { familiesFor } from "./trained-families.ts";

type SavedRun = Layer["values"];

type InferenceOptions = {
  readonly [Name in keyof typeof inferenceSettings]: TaskOptions[Name] | null;
};

/** The user's options for loading a trained model; null falls back to the adapter or its run. */
export interface TrainedOptions extends InferenceOptions {
  /** Rows read from each split; null reads all. */
  readonly limit: number | null;
  /**
   * The adapter's base model, or a fully fine-tuned one: a folder, a run's folder or a hub name.
   */
  readonly model: string | null;
  /** A PEFT adapter: its folder, a run's folder or a hub name. */
  readonly adapter: string | null;
  /** The weights of a run's folder to use. */
  readonly which: Which;
  readonly tokenizer: string | null;
  /** Files and packages of model families; null: the run's. */
  readonly plugins: readonly string[] | null;
  readonly task: string | null;
  /** Class names in the order of the model's outputs. */
  readonly labels: readonly string[] | null;
  readonly maxLength: number | null;
}

/** A trained model whose files match each other and the task; weights are not loaded yet. */
export interface TrainedModel {
  readonly task: Task;
  readonly spec: RunSpec;
  readonly files: ModelFiles;
  /** Settings of the run that trained it, if known. */
  readonly run: SavedRun | undefined;
  /** The training rows that the run evaluated on; undefined if it had data for that. */
  readonly heldOut: HeldOut | undefined;
  /** Texts of a row that it was trained on: 1, or 2 for pairs; undefined if not known. */
  readonly textsPerRow: number | undefined;
  /** Reorders the model's classes into the task's order. */
  readonly order: ClassOrder;
  readonly warnings: readonly string[];
  /** Which weights of a run's folder these are; undefined if the user named no run's folder. */
  readonly weightsOf: WeightsOf | undefined;
  readonly declared: DeclaredModel;
  readonly weights: MatchedWeights;
  readonly adapter: AdapterFiles | undefined;
}

/**
 * Opens a trained model saved by adalora, PEFT or transformers: an adapter with its base model, or
 * a full model. Throws if a file is missing or damaged, if the model does not fit the task, or if
 * no file contains the head, which would then be untrained.
 */
export async function openTrained(
  requested: TrainedOptions,
  sources: Sources,
): Promise<TrainedModel> {
  const { which, adapter: adapterName } = requested;
  const adapter = adapterName === null ? undefined : await openAdapter(adapterName, which, sources);
  const model = await modelFolder(requested.model, adapter, which, sources);
  const dir = adapter?.dir ?? model;
  const saved = savedSettings(dir);
  const { task, run, trainedFor } = chooseTask(requested, saved.settings);
  const files = await openModelFiles(
    { model, ...fileOptions(requested, saved, task, adapter) },
    await familiesFor(requested, saved.config?.plugins ?? null, saved.folder, sources),
    sources,
  );
  const { spec, order } = matchClasses(requested, saved, task, files, adapter);
  const declared = declareRunModel(files, spec, { clsDropout: null, dropout: null });
  const weights = matchTrained(declared, files, adapter, trainedFor);
  if (adapter) checkFit(declared, adapter);
  return {
    task,
    spec,
    files,
    run,
    heldOut: heldOutOf(saved.folder, run),
    textsPerRow: run && readFacts(dir)?.textsPerRow,
    order,
    warnings: [
      ...changedPlugin(dir, files),
      ...(trainedFor ? [`the model was trained for ${trainedFor}, not for ${task.name}`] : []),
      ...(order.warning === undefined ? [] : [order.warning]),
    ],
    weightsOf: weightsOf(dir, which),
    declared,
    weights,
    adapter,
  };
}

/** Loads the weights onto a backend. */
export function loadTrained(backend: Backend, trained: TrainedModel): Model {
  const { declared, weights, adapter } = trained;
  adoptWeights(backend, weights);
  if (adapter) applyAdapter(backend, declared, adapter.adapter, adapter.dir);
  return declared.model;
}

// --- internal ---

/** What is known of how weights were trained. */
interface SavedSettings {
  /** The folder of the run that wrote them, if a run did. */
  readonly folder: string;
  /** Of the run's config.json. */
  readonly config: SavedRun | undefined;
  /** The same with what the adapter's own folder says, which takes precedence. */
  readonly settings: SavedRun | undefined;
}

/** Reads the settings of the weights in `dir`. */
function savedSettings(dir: string): SavedSettings {
  const folder = dirname(resolve(dir));
  const own = readAdapterSettings(dir);
  const config = readSavedConfig(folder);
  return { folder, config, settings: config || own ? { ...config, ...own } : undefined };
}

/**
 * The requested task, else the saved one. `run`: the saved settings, undefined where they are those of
 * another task, `trainedFor`.
 */
function chooseTask(requested: TrainedOptions, saved: SavedRun | undefined) {
  const name = requested.task ?? saved?.task;
  if (!name) throw errors.missing("task", "--task names a recipe, classification or regression");
  const savedTask = saved?.task ?? name;
  const run = savedTask === name ? saved : undefined;
  const task = taskNamed(name, taskOptions(requested, run));
  return { task, run, trainedFor: savedTask === name ? undefined : savedTask };
}

/** The tokenizer and the longest sequence, in tokens: as requested, else as in training. */
function fileOptions(
  requested: TrainedOptions,
  { config, settings: saved }: SavedSettings,
  task: Task,
  adapter: AdapterFiles | undefined,
) {
  const maxLength = requested.maxLength ?? saved?.maxLength ?? task.maxLength;
  return {
    tokenizer: requested.tokenizer ?? saved?.tokenizer ?? (config ? null : ownTokenizer(adapter)),
    maxLength: maxLength ?? settings.maxLength.fallback,
  };
}

/** The model's outputs for the task, and how its classes map to the task's. */
function matchClasses(
  { labels }: TrainedOptions,
  { settings: saved }: SavedSettings,
  task: Task,
  files: ModelFiles,
  adapter: AdapterFiles | undefined,
): { readonly spec: RunSpec; readonly order: ClassOrder } {
  const modelClasses =
    labels ?? (adapter && (saved?.labels ?? task.labelNames)) ?? classesOf(files);
  const isClassifier = task.kind === "classification";
  const taskClasses = isClassifier ? (task.labelNames ?? modelClasses) : undefined;
  return {
    // Padding only affects the training loss.
    spec: { ...task.spec(taskClasses), paddedQueries: undefined },
    order: taskClasses ? classOrder(modelClasses, taskClasses, files.dir) : { columns: undefined },
  };
}

/** Refuses an adapter of another model before any weights are read. Throws as applyAdapter. */
function checkFit(declared: DeclaredModel, { adapter, dir }: AdapterFiles): void {
  const layers = adapter.modules.map((source) => ({ path: source.path, source }));
  checkLayers(layers, declared.tree.linears, dir);
  savedParameters(declared, adapter, dir);
}

/** A warning where the family is no longer computed by the files that it was trained with. */
function changedPlugin(dir: string, { origin, plugin }: ModelFiles): readonly string[] {
  const trained = readFacts(dir)?.plugin;
  if (trained === undefined || trained === origin?.digest) return [];
  const rule = `${dir} was trained with another version of the plugin "${plugin.name}"`;
  const now =
    origin === undefined ? "adalora's own family computes it now" : `${origin.file} has changed`;
  return [`${rule}: ${now}, and results may differ`];
}

/** The adapter's own folder, if it holds a tokenizer: that of the training. */
function ownTokenizer(adapter: AdapterFiles | undefined): string | null {
  return adapter && existsSync(join(adapter.dir, TOKENIZER_JSON)) ? adapter.dir : null;
}

/** Throws E_FILE if the run held rows out and its folder does not name them. */
function heldOutOf(folder: string, run: SavedRun | undefined): HeldOut | undefined {
  const { evalFraction = null, tuneFraction = null } = run ?? {};
  if (evalFraction === null && tuneFraction === null) return undefined;
  const heldOut = readHeldOut(folder);
  // Earlier versions did not save the rows of --tune-fraction.
  if (heldOut || tuneFraction !== null) return heldOut;
  throw errors.file(folder, `lacks ${runFiles.heldOut}, the rows that the run evaluated on`);
}

/** Task options: the user's, else the run's, else the defaults. */
function taskOptions(requested: TrainedOptions, run: SavedRun | undefined): TaskOptions {
  const nonNull = (layer: Partial<InferenceOptions>) =>
    Object.fromEntries(
      Object.entries(layer).filter(
        ([name, value]) => Object.hasOwn(inferenceSettings, name) && (value ?? null) !== null,
      ),
    );
  // Inference computes no loss, so padding has no effect.
  const fixed = { limit: requested.limit, spanPadding: "none", labels: null } as const;
  return { ...defaultSettings(), ...nonNull(run ?? {}), ...nonNull(requested), ...fixed };
}

/** Class names from a transformers config.json; the default is LABEL_0 and LABEL_1. */
function classesOf({ rawConfig }: ModelFiles): readonly string[] {
  const { id2label: names, num_labels: count } = rawConfig;
  const known = isJsonObject(names) ? Object.entries(names) : [];
  const named = known.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, name]) => String(name));
  if (named.length > 0) return named;
  return Array.from({ length: typeof count === "number" ? count : 2 }, (_, i) => `LABEL_${i}`);
}

/**
 * Matches the checkpoint to the model. Modules that the adapter saved in full are not read from it;
 * every other parameter must be in it. `trainedFor`: the run's task if it is not the requested one.
 */
function matchTrained(
  { tree, plugin }: DeclaredModel,
  { dir }: ModelFiles,
  adapter: AdapterFiles | undefined,
  trainedFor: string | undefined,
): MatchedWeights {
  const given = new Set(adapter?.adapter.saved.keys());
  const weights = matchWeights(tree, openCheckpoint(dir).tensors, plugin, dir, given);
  const untrained = weights.newlyInitialized.map(({ name }) => name);
  if (untrained.length > 0)
    throw runErrors.untrained(dir, untrained, { hasAdapter: adapter !== undefined, trainedFor });
  return weights;
}
