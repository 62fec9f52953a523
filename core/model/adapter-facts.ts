import { existsSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject, type JsonObject, readJsonObject } from "../io/json-file.ts";
import { ADAPTER_FACTS } from "../io/peft.ts";
import { metricsIn, numbersIn } from "../io/json-numbers.ts";

/** What `predict` and the card need besides an adapter's tensors. */
export interface AdapterFacts {
  readonly task: string;
  /** Class names in the order of the model's outputs; undefined for other tasks. */
  readonly labels: readonly string[] | undefined;
  /**
   * Texts of a row that the model was trained on: 1, or 2 for pairs; undefined for other tasks, or
   * if an earlier version wrote the facts.
   */
  readonly textsPerRow?: number | undefined;
  /** The run's settings that still apply to the trained model, by name; those set alone. */
  readonly settings: JsonObject;
  /**
   * SHA-256 of the files of the plugin that the model's family is from; undefined for a family of
   * the program, or if an earlier version wrote the facts.
   */
  readonly plugin: string | undefined;
  readonly training: TrainingFacts | undefined;
}

/** How an adapter was trained. Holds no path, user or host. */
export interface TrainingFacts {
  readonly method: string;
  readonly seed: number;
  /** Steps of the whole run, and the step that the weights are from. */
  readonly steps: number;
  readonly step: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly alpha: number;
  /** The rate of E alone, if it has its own. */
  readonly learningRateE?: number | undefined;
  /**
   * Names of the first values of the adapters and of the rule for ranks; undefined for a method
   * without either, for --from, or if an earlier version wrote the facts.
   */
  readonly start?: string | undefined;
  readonly allocator?: string | undefined;
  /** Sums of the initial and of the target ranks over all adapted matrices. */
  readonly initialRanks: number;
  readonly targetRanks: number;
  /** The data set on the hub; undefined for local files. */
  readonly dataset: TrainedDataset | undefined;
  /** The metric that stands for the task; undefined if an earlier version wrote the facts. */
  readonly mainMetric: string | undefined;
  /** Metrics of each validation split at `step`. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A data set of the hub that an adapter was trained on. */
export interface TrainedDataset {
  readonly id: string;
  readonly config: string | undefined;
  /**
   * Whether the metrics are those of its own splits and of all their rows, rather than of a part,
   * of rows held out of training or of a local file. False if an earlier version wrote the facts.
   */
  readonly wholeSplits: boolean;
}

/** The facts as the content of `adalora.json`. */
export function factsJson(facts: AdapterFacts): string {
  const { task, labels, textsPerRow, settings, plugin, training } = facts;
  const value = {
    task,
    ...(labels && { num_labels: labels.length, labels }),
    ...(textsPerRow !== undefined && { texts_per_row: textsPerRow }),
    settings,
    ...(plugin !== undefined && { plugin_sha256: plugin }),
    ...(training && { training }),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Reads the facts of an adapter's folder; undefined if PEFT or an earlier version wrote it. */
export function readFacts(dir: string): AdapterFacts | undefined {
  const path = join(dir, ADAPTER_FACTS);
  if (!existsSync(path)) return undefined;
  const raw = readJsonObject(path);
  const { task, labels, texts_per_row: texts, settings, plugin_sha256: plugin, training } = raw;
  if (typeof task !== "string") return undefined;
  const isNamed = Array.isArray(labels) && labels.every((name) => typeof name === "string");
  return {
    task,
    labels: isNamed ? labels : undefined,
    textsPerRow: texts === 1 || texts === 2 ? texts : undefined,
    settings: isJsonObject(settings) ? settings : {},
    plugin: typeof plugin === "string" ? plugin : undefined,
    training: isJsonObject(training) ? trainingIn(training) : undefined,
  };
}

// --- internal ---

function trainingIn(raw: JsonObject): TrainingFacts {
  const { method, start, allocator, mainMetric, metrics } = raw;
  const number = (name: string) => numbersIn(raw)[name] ?? Number.NaN;
  return {
    method: String(method),
    seed: number("seed"),
    steps: number("steps"),
    step: number("step"),
    learningRate: number("learningRate"),
    batchSize: number("batchSize"),
    alpha: number("alpha"),
    learningRateE: numbersIn(raw)["learningRateE"],
    start: typeof start === "string" ? start : undefined,
    allocator: typeof allocator === "string" ? allocator : undefined,
    initialRanks: number("initialRanks"),
    targetRanks: number("targetRanks"),
    dataset: isJsonObject(raw["dataset"]) ? datasetIn(raw["dataset"]) : undefined,
    mainMetric: typeof mainMetric === "string" ? mainMetric : undefined,
    metrics: metricsIn(metrics),
  };
}

function datasetIn({ id, config, wholeSplits }: JsonObject): TrainedDataset | undefined {
  if (typeof id !== "string") return undefined;
  const configuration = typeof config === "string" ? config : undefined;
  return { id, config: configuration, wholeSplits: wholeSplits === true };
}
