import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Backend } from "../backend.ts";
import { defaultSettings, type Layer } from "../config/run-config.ts";
import { kept, settings } from "../config/settings.ts";
import { AdaloraError, errors } from "../errors.ts";
import { currentDirectory } from "../io/atomic.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { isJsonObject } from "../io/json-file.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import { ADAPTER_CONFIG, readPeftAdapter } from "../io/peft.ts";
import { applyAdapter } from "../model/adapter-files.ts";
import { adoptWeights, type MatchedWeights, matchWeights } from "../model/load-weights.ts";
import { declareRunModel, type ModelFiles, openModelFiles, type Sources } from "../model/model-files.ts";
import type { DeclaredModel } from "../model/open-model.ts";
import type { Model } from "../model/plugin.ts";
import { type ClassOrder, classOrder } from "../tasks/class-order.ts";
import { taskNamed } from "../tasks/index.ts";
import type { TaskOptions } from "../tasks/task-options.ts";
import type { RunSpec, RunTask } from "../tasks/task.ts";
import { runFiles, seedFolders } from "./run-folder.ts";
import { readSavedConfig } from "./saved-config.ts";

type SavedRun = Layer["values"];

type InferenceOptions = { readonly [Name in keyof typeof kept]: TaskOptions[Name] | null };

/** A trained model as the user names it; null: as the adapter or the run beside it says. */
export interface TrainedOptions extends InferenceOptions {
  readonly limit: number | null;
  /** The base of the adapter, or without one a model that was trained as a whole; a folder, a run's folder, or a name of the hub. */
  readonly model: string | null;
  /** A PEFT adapter's folder, a run's folder, or a name of the hub. */
  readonly adapter: string | null;
  readonly tokenizer: string | null;
  readonly task: string | null;
  /** Class names in the order of the model's numbers. */
  readonly labels: readonly string[] | null;
  readonly maxLength: number | null;
}

/** A trained model whose files are known to fit each other and the task; no weight has been read yet. */
export interface TrainedModel {
  readonly task: RunTask;
  readonly spec: RunSpec;
  readonly files: ModelFiles;
  /** The settings of the run that it comes from, where that is known. */
  readonly run: SavedRun | undefined;
  /** Puts the model's classes into the task's order. */
  readonly order: ClassOrder;
  readonly warnings: readonly string[];
  readonly declared: DeclaredModel;
  readonly weights: MatchedWeights;
  readonly adapter: AdapterFiles | undefined;
}

interface AdapterFiles {
  readonly dir: string;
  readonly adapter: PeftAdapter;
}

/**
 * Opens what a training run left, or PEFT or transformers: an adapter over its base model, or a whole model. Throws where a file is
 * missing or damaged, where model and task do not fit, and where a head is in none of the files: nothing would have trained it.
 */
export async function openTrained(
  requested: TrainedOptions,
  sources: Sources,
): Promise<TrainedModel> {
  const adapter = await openAdapter(requested.adapter, sources);
  const model = await modelFolder(requested.model, adapter, sources);
  const run = readSavedConfig(dirname(resolve(adapter?.dir ?? model)));
  const name = requested.task ?? run?.task;
  if (!name) throw errors.missing("task", "--task names a recipe, classification or regression");
  const isSameTask = run?.task === undefined || run.task === name;
  const task = taskNamed(name, taskOptions(requested, isSameTask ? run : undefined));
  const maxLength = requested.maxLength ?? run?.maxLength ?? task.maxLength;
  const files = await openModelFiles(
    {
      model,
      tokenizer: requested.tokenizer ?? run?.tokenizer ?? null,
      maxLength: maxLength ?? settings.maxLength.fallback,
    },
    sources,
  );
  const modelClasses =
    requested.labels ?? (adapter && (run?.labels ?? task.labelNames)) ?? classesOf(files);
  const taskClasses =
    task.kind === "classification" ? (task.labelNames ?? modelClasses) : undefined;
  // Nothing is trained: padding has no say.
  const spec = { ...task.spec(taskClasses), paddedQueries: undefined };
  const order = taskClasses
    ? classOrder(modelClasses, taskClasses, files.dir)
    : { columns: undefined };
  const declared = declareRunModel(files, spec, { clsDropout: null, dropout: null });
  const weights = matchTrained(
    declared,
    files,
    adapter,
    isSameTask ? undefined : (run.task ?? undefined),
  );
  return {
    task,
    spec,
    files,
    run: isSameTask ? run : undefined,
    order,
    warnings: [
      ...(isSameTask ? [] : [`the model was trained for ${run.task}, not for ${name}`]),
      ...(order.warning === undefined ? [] : [order.warning]),
    ],
    declared,
    weights,
    adapter,
  };
}

/** Reads the weights onto a backend. */
export function loadTrained(backend: Backend, trained: TrainedModel): Model {
  const { declared, weights, adapter } = trained;
  adoptWeights(backend, weights);
  if (adapter) applyAdapter(backend, declared, adapter.adapter, adapter.dir);
  return declared.model;
}

// --- internal ---

/** What the user says, else the run, else what a run without a word would do. */
function taskOptions(requested: TrainedOptions, run: SavedRun | undefined): TaskOptions {
  const nonNull = (layer: Partial<InferenceOptions>) =>
    Object.fromEntries(
      Object.entries(layer).filter(
        ([name, value]) => Object.hasOwn(kept, name) && (value ?? null) !== null,
      ),
    );
  // Nothing is trained: there is no loss that padding has its say in, or for which labels are smoothed.
  const given = { limit: requested.limit, spanPadding: "none", labels: null } as const;
  return { ...defaultSettings(), ...nonNull(run ?? {}), ...nonNull(requested), ...given };
}

async function openAdapter(
  name: string | null,
  sources: Sources,
): Promise<AdapterFiles | undefined> {
  if (name === null) return undefined;
  const given = await sources.adapter(name);
  const inRun = join(given, runFiles.adapter);
  const holds = (folder: string) => existsSync(join(currentDirectory(folder), ADAPTER_CONFIG));
  const dir = [given, inRun].find(holds);
  if (dir !== undefined) return { dir, adapter: readPeftAdapter(dir) };
  if (existsSync(join(given, runFiles.model)))
    throw errors.file(given, "holds a whole model, not an adapter", `name it with --model ${name}`);
  const [seed] = seedFolders(given);
  throw seed === undefined
    ? errors.file(given, `holds no ${ADAPTER_CONFIG}`, "name a PEFT adapter's or a run's folder")
    : errors.file(given, "holds runs of several seeds", `name one of them, such as ${seed}`);
}

/** The folder with the model's config: of the name given, or of the base that the adapter names; of a run's folder its model. */
async function modelFolder(
  name: string | null,
  adapter: AdapterFiles | undefined,
  sources: Sources,
): Promise<string> {
  if (name !== null) {
    const dir = await sources.model(name);
    if (!readSavedConfig(dir)) return dir;
    const model = join(dir, runFiles.model);
    if (existsSync(model) || !existsSync(join(dir, runFiles.adapter))) return model;
    throw errors.file(dir, "holds an adapter, not a whole model", `name it with --adapter ${name}`);
  }
  const base = adapter?.adapter.baseModel;
  if (!adapter)
    throw errors.missing(
      "model",
      "--adapter names what a run trained, --model a model trained whole",
    );
  if (!base) throw errors.missing("model", "the adapter names no base: give it with --model");
  try {
    return await sources.model(base);
  } catch (error) {
    throw error instanceof AdaloraError ? errors.baseModel(adapter.dir, error) : error;
  }
}

/** Class names in a model's config, in transformers' form; its default is two classes without names. */
function classesOf({ rawConfig }: ModelFiles): readonly string[] {
  const { id2label: names, num_labels: count } = rawConfig;
  const known = isJsonObject(names) ? Object.entries(names) : [];
  const named = known.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, name]) => String(name));
  if (named.length > 0) return named;
  return Array.from({ length: typeof count === "number" ? count : 2 }, (_, i) => `LABEL_${i}`);
}

/** What the adapter saved whole is not taken from the checkpoint; every other parameter must be in it. `trainedFor`: another task. */
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
    throw errors.untrained(dir, untrained, { hasAdapter: adapter !== undefined, trainedFor });
  return weights;
}
