import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "../config/run-config.ts";
import type { DataPlace, HubData } from "../data/data-place.ts";
import { errors } from "../errors.ts";
import { readJsonObject } from "../io/json-file.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";
import { readTokenizer, type TokenizerSource } from "../text/load-tokenizer.ts";
import { type DeclaredModel, declareModel } from "./open-model.ts";
import type { ModelPlugin, Task } from "./plugin.ts";

/** Where models and data come from: the hub for names, the disk for paths. */
export interface Sources {
  readonly plugins: { readonly pluginFor: (modelType: string) => ModelPlugin };
  /** A local folder with config.json, weights and tokenizer. */
  model(name: string): Promise<string>;
  /** A local folder with a PEFT adapter. */
  adapter(name: string): Promise<string>;
  /** The data of a name; null: the task's own data set on the hub. */
  data(name: string | null, own: HubData | undefined): Promise<DataPlace>;
}

/** What a task's texts are tokenised with for a model. */
export interface TokenizeOptions {
  readonly tokenizer: TokenizerSource;
  /** Tokens of an example, special ones included; longer ones are cut. */
  readonly maxLength: number;
  /** The model's number of embeddings, and where it was read. */
  readonly vocabSize: number;
  readonly modelConfig: string;
  /** The most tokens that the model reads, or writes, at a time. */
  readonly maxPositions: number;
  /** The model's own settings: config.json's, and generation_config.json's where there is one. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly generationConfig?: Readonly<Record<string, unknown>>;
}

/** A model's folder, read but without weights. */
export interface ModelFiles {
  readonly dir: string;
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly plugin: ModelPlugin;
  readonly config: object;
  readonly tokenize: TokenizeOptions;
}

/** Reads a model's folder: config.json, the family that handles it, the tokenizer's files. */
export async function openModelFiles(
  { model, tokenizer, maxLength }: Pick<RunConfig, "model" | "tokenizer" | "maxLength">,
  sources: Sources,
): Promise<ModelFiles> {
  const dir = await sources.model(model);
  const path = join(dir, "config.json");
  const rawConfig = readJsonObject(path);
  const plugin = sources.plugins.pluginFor(String(rawConfig["model_type"]));
  const config = plugin.parseConfig(rawConfig);
  const limits = plugin.limits(config);
  if (maxLength > limits.maxLength) {
    throw errors.flag(
      "max-length",
      `must be at most ${limits.maxLength} for this model, got ${maxLength}`,
    );
  }
  const source = readTokenizer(
    tokenizer === null ? dir : await sources.model(tokenizer),
    plugin.tokenizer,
  );
  const generation = join(dir, "generation_config.json");
  const tokenize = {
    tokenizer: source,
    maxLength,
    vocabSize: limits.vocabSize,
    modelConfig: path,
    maxPositions: limits.maxLength,
    rawConfig,
    ...(existsSync(generation) ? { generationConfig: readJsonObject(generation) } : {}),
  };
  return { dir, rawConfig, plugin, config, tokenize };
}

/** What a run wants of the end of a model. */
export interface HeadSpec {
  readonly kind: Task;
  /** Width of the output. */
  readonly width: number;
  readonly paddedQueries: PaddedQueries | undefined;
}

/** Declares the model for a task, with the dropout that the run asks for. */
export function declareRunModel(
  { plugin, config }: Pick<ModelFiles, "plugin" | "config">,
  { kind, width, paddedQueries }: HeadSpec,
  { clsDropout, dropout }: Pick<RunConfig, "clsDropout" | "dropout">,
): DeclaredModel {
  const overrides = {
    ...(dropout === null ? {} : { hidden: dropout, attention: dropout }),
    ...(clsDropout === null ? {} : { head: clsDropout }),
  };
  const head = { task: kind, labels: width, dropout: overrides };
  return declareModel(plugin, config, paddedQueries ? { ...head, paddedQueries } : head);
}

/** Parameters of the pretrained model, heads left out. */
export function backboneParameters({ tree, plugin }: DeclaredModel): number {
  return [...tree.parameters.values()]
    .filter(({ name }) => !plugin.adapters.trainable.some((pattern) => pattern.test(name)))
    .reduce((sum, { length }) => sum + length, 0);
}
