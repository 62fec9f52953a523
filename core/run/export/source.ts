import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { kindOf, taskNames } from "../../config/task-names.ts";
import { AdaloraError } from "../../errors.ts";
import { isJsonObject } from "../../io/json-file.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { readRegular } from "../../io/regular-file.ts";
import { type AdapterFacts, readFacts } from "../../model/adapter-facts.ts";
import type { Families } from "../../model/families.ts";
import { type ModelFiles, openModelConfig, type Sources } from "../../model/model-files.ts";
import { type DeclaredModel, declareModel } from "../../model/open-model.ts";
import type { TaskHead } from "../../model/plugin.ts";
import { readTokenizer, TOKENIZER_JSON } from "../../text/load-tokenizer.ts";
import { tokenizerFiles } from "../../text/save-tokenizer.ts";
import { type AdapterFiles, openAdapter } from "../open-adapter.ts";
import { modelFolder } from "../model-folder.ts";
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
  const base = openBase(dir, found, families);
  const tokenizerDir = await tokenizerFolder(base, found, sources);
  return { ...found, base: { ...base, tokenizerDir } };
}

/** A folder's tokenizer as transformers reads it; undefined if the folder has none. */
export function convertedTokenizer(
  dir: string,
  { plugin, config, rawConfig }: Pick<BaseModel, "plugin" | "config" | "rawConfig">,
): ReadonlyMap<string, string | Uint8Array> | undefined {
  const { files = [] } = plugin.tokenizer.convert ?? {};
  const holds = (names: readonly string[]) => names.every((name) => existsSync(join(dir, name)));
  if (!holds([TOKENIZER_JSON]) && (files.length === 0 || !holds(files))) return undefined;
  const { maxLength: maxPositions } = plugin.limits(config);
  const hasTokenTypes = typeof rawConfig["type_vocab_size"] === "number";
  return tokenizerFiles(readTokenizer(dir, plugin.tokenizer), { maxPositions, hasTokenTypes });
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

/**
 * The folder of the tokenizer that the adapter was trained with: the run's; of an adapter's folder
 * outside a run the base's, unless the adapter has another or the base has none.
 */
async function tokenizerFolder(
  base: Omit<BaseModel, "tokenizerDir">,
  { dir }: AdapterFiles,
  sources: Sources,
): Promise<string> {
  const run = readSavedConfig(dirname(resolve(dir)));
  const ofRun = run?.tokenizer ?? null;
  if (run) return ofRun === null ? base.dir : sources.model(ofRun);
  if (!existsSync(join(dir, TOKENIZER_JSON))) return base.dir;
  const ofBase = convertedTokenizer(base.dir, base)?.get(TOKENIZER_JSON);
  const isSame =
    ofBase !== undefined && readRegular(join(dir, TOKENIZER_JSON)).equals(Buffer.from(ofBase));
  return isSame ? base.dir : dir;
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
