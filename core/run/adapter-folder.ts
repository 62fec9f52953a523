import { isAbsolute, basename, dirname } from "node:path";
import { startFor } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { inferenceSettings } from "../config/settings.ts";
import { isCommit, looksLikeRepo } from "../io/hub-repo.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import { cardText, CARD } from "../model/adapter-card.ts";
import { ADAPTER_FACTS } from "../io/peft.ts";
import { type AdapterFacts, factsJson } from "../model/adapter-facts.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import { tokenizerFiles } from "../text/save-tokenizer.ts";
import type { PreparedRun } from "./prepare.ts";
import { trainedDataset } from "./trained-dataset.ts";

/** The step that saved weights are from, and their metrics by validation split. */
export interface SavedAt {
  readonly step: number;
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A base model as `adapter_config.json` names it. */
export interface BaseName {
  readonly baseModel: string | null;
  readonly revision: string | null;
}

/**
 * The base model's name on the hub: the given one, else that of a model from the hub with the
 * commit that was loaded. Null for a local folder, as a path means nothing elsewhere. `dir`: the
 * folder that the model was loaded from.
 */
export function baseName(
  { model, baseName: given }: Pick<RunConfig, "model" | "baseName">,
  dir: string,
): BaseName {
  if (given === null && isAbsolute(model)) return { baseModel: null, revision: null };
  const name = given ?? model;
  if (!looksLikeRepo(name)) return { baseModel: name, revision: null };
  const [baseModel = name, revision = null] = name.split("@");
  return { baseModel, revision: (given === null ? commitOf(dir) : undefined) ?? revision };
}

/** Files that make an adapter's folder complete: facts, card and tokenizer, by name. */
export function adapterFolderFiles(
  run: PreparedRun,
  adapter: PeftAdapter,
  at: SavedAt,
): ReadonlyMap<string, string | Uint8Array> {
  const facts = factsOf(run, adapter, at);
  return new Map<string, string | Uint8Array>([
    [ADAPTER_FACTS, factsJson(facts)],
    [CARD, cardText({ adapter, facts })],
    ...savedTokenizer(run.files.tokenize),
  ]);
}

/** The tokenizer's files as transformers reads them. */
export function savedTokenizer({
  tokenizer,
  maxPositions,
  rawConfig,
}: TokenizeOptions): ReadonlyMap<string, string | Uint8Array> {
  const hasTokenTypes = typeof rawConfig["type_vocab_size"] === "number";
  return tokenizerFiles(tokenizer, { maxPositions, hasTokenTypes });
}

/** What the facts of an adapter and of a fully fine-tuned model share. */
export function modelFacts({
  config,
  spec,
  files,
  train,
}: PreparedRun): Omit<AdapterFacts, "training"> {
  const applied = Object.entries(config).filter(
    ([name, value]) =>
      (name === "maxLength" || Object.hasOwn(inferenceSettings, name)) && value !== null,
  );
  return {
    task: config.task,
    labels: spec.labelNames,
    textsPerRow: train.textsPerRow,
    settings: Object.fromEntries(applied),
    plugin: files.origin?.digest,
  };
}

// --- internal ---

/** The commit of a snapshot in the hub's cache; undefined for another folder. */
function commitOf(dir: string): string | undefined {
  const isSnapshot = basename(dirname(dir)) === "snapshots" && isCommit(basename(dir));
  return isSnapshot ? basename(dir) : undefined;
}

function factsOf(
  run: PreparedRun,
  { modules }: PeftAdapter,
  { step, metrics }: SavedAt,
): AdapterFacts {
  const { config, schedule, target } = run;
  const saved = modules.reduce((sum, { A }) => sum + (A.shape[0] ?? 0), 0);
  return {
    ...modelFacts(run),
    training: {
      method: config.method,
      seed: config.seed,
      steps: schedule.steps,
      step,
      learningRate: config.lr,
      batchSize: config.batchSize * config.gradAccum,
      alpha: config.alpha,
      learningRateE: config.lrE ?? undefined,
      start: run.from ? undefined : (config.start ?? startFor(config.method, config.task)),
      allocator: run.allocator && (config.allocator ?? "adalora"),
      initialRanks: target?.initTotalRank ?? 0,
      // A budget of parameters has no target in ranks.
      targetRanks: target?.budget.unit === "parameters" ? saved : (target?.targetTotalRank ?? 0),
      dataset: trainedDataset(config, run.hub),
      mainMetric: run.spec.defaultMetric,
      metrics,
    },
  };
}
