import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { kindOf, taskNames } from "../../config/task-names.ts";
import { AdaloraError } from "../../errors.ts";
import { isJsonObject } from "../../io/json-file.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { type AdapterFacts, readFacts } from "../../model/adapter-facts.ts";
import type { Families } from "../../model/families.ts";
import { type ModelFiles, openModelConfig, type Sources } from "../../model/model-files.ts";
import { type DeclaredModel, declareModel } from "../../model/open-model.ts";
import type { TaskHead } from "../../model/plugin.ts";
import { TOKENIZER_JSON } from "../../text/load-tokenizer.ts";
import { type AdapterFiles, openAdapter } from "../open-adapter.ts";
import { modelFolder } from "../open-trained.ts";
import type { Which } from "../run-of.ts";
import { readSavedConfig } from "../saved-config.ts";
import { familiesFor } from "../trained-families.ts";

/** What is exported: an adapter, what is known of it, and its base model. */
export interface ExportSource extends AdapterFiles {
  readonly facts: AdapterFacts | undefined;
  /** Undefined if the adapter does not say where its base model is. */
  readonly base: BaseModel | undefined;
}

/** A base model's folder, read except for its weights. */
export interface BaseModel extends Pick<ModelFiles, "dir" | "rawConfig" | "plugin" | "config"> {
  readonly head: TaskHead;
  /** The folder of the tokenizer that the adapter was trained with. */
  readonly tokenizerDir: string;
  /** Declares the model with the adapter's head; each call returns one without values. */
  declare(): DeclaredModel;
}

/** The user's choice of what to export. */
export interface SourceOptions {
  /** A run's folder, an adapter's, or a name on the hub. */
  readonly name: string;
  readonly which: Which;
  /** The base model; null: the one that the adapter or its run names. */
  readonly model: string | null;
  /** Plugins of model families; null: those of the run. */
  readonly plugins: readonly string[] | null;
  /** Whether an export without the base model is possible. */
  readonly needsBase: boolean;
}

/**
 * Opens what is to be exported. Throws E_FILE if there is no adapter, and as `predict` does if the
 * base model is needed or given and cannot be opened.
 */
export async function openExportSource(
  options: SourceOptions,
  sources: Sources,
): Promise<ExportSource> {
  const found = await openAdapterSource(options.name, options.which, sources);
  const dir = await baseFolder(found, options, sources);
  if (dir === undefined) return found;
  const runFolder = dirname(resolve(found.dir));
  const saved = readSavedConfig(runFolder)?.plugins ?? null;
  const requested = { ...options, adapter: options.name };
  const families = await familiesFor(requested, saved, runFolder, sources);
  const tokenizerDir = await tokenizerFolder(dir, found, sources);
  return { ...found, base: { ...openBase(dir, found, families), tokenizerDir } };
}

/** Opens an adapter alone, without its base model. Throws E_FILE if there is none. */
export async function openAdapterSource(
  name: string,
  which: Which,
  sources: Sources,
): Promise<ExportSource> {
  const found = await openAdapter(name, which, sources);
  return { ...found, facts: readFacts(found.dir), base: undefined };
}

// --- internal ---

async function baseFolder(
  adapter: AdapterFiles,
  { model, needsBase, which }: SourceOptions,
  sources: Sources,
): Promise<string | undefined> {
  try {
    return await modelFolder(model, adapter, which, sources);
  } catch (error) {
    if (needsBase || model !== null || !(error instanceof AdaloraError)) throw error;
    return undefined;
  }
}

function openBase(
  dir: string,
  { adapter, facts }: ExportSource,
  families: Families,
): Omit<BaseModel, "tokenizerDir"> {
  const { rawConfig, plugin, config } = openModelConfig(dir, families);
  const head = headOf(adapter, facts, rawConfig);
  return {
    dir,
    rawConfig,
    plugin,
    config,
    head,
    declare: () => declareModel(plugin, config, head),
  };
}

/** The run's tokenizer, or that of an adapter's folder outside a run, or else the base's. */
async function tokenizerFolder(base: string, { dir }: AdapterFiles, sources: Sources) {
  const run = readSavedConfig(dirname(resolve(dir)));
  if (run) return sources.model(run.tokenizer ?? base);
  return existsSync(join(dir, TOKENIZER_JSON)) ? dir : base;
}

/** The head that the adapter was trained with, by its task or PEFT's task type. */
function headOf(
  { taskType, saved }: PeftAdapter,
  facts: AdapterFacts | undefined,
  rawConfig: Readonly<Record<string, unknown>>,
): TaskHead {
  if (taskType === "QUESTION_ANS") return { task: "span", labels: 2 };
  if (taskType === "SEQ_2_SEQ_LM") return { task: "generation", labels: 0 };
  const bias = [...saved].find(([name]) => /(^|\.)(classifier|score|out_proj)\.bias$/.test(name));
  const labels = bias?.[1].shape[0] ?? facts?.labels?.length ?? widthIn(rawConfig);
  const isKnown = facts !== undefined && taskNames.includes(facts.task);
  const isScore = isKnown
    ? kindOf(facts.task) === "sequence" && facts.labels === undefined
    : labels === 1;
  return { task: isScore ? "regression" : "classification", labels };
}

/** The number of labels in a transformers config.json; the default is 2. */
function widthIn({ id2label, num_labels: count }: Readonly<Record<string, unknown>>): number {
  if (isJsonObject(id2label)) return Object.keys(id2label).length;
  return typeof count === "number" ? count : 2;
}
