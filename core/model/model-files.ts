import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "../config/run-config.ts";
import type { DataLocation, HubData } from "../data/data-location.ts";
import { errors } from "../errors.ts";
import { readJsonObject } from "../io/json-file.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";
import { readTokenizer, type TokenizerSource } from "../text/load-tokenizer.ts";
import { type DeclaredModel, declareModel } from "./open-model.ts";
import type { Families, PluginOrigin } from "./families.ts";
import type { ModelPlugin, HeadKind } from "./plugin.ts";

/** Resolves model families, models, adapters and data: paths on disk, names on the hub. */
export interface Sources {
  /**
   * The program's model families and those of plugins, which are files or packages. Throws E_PLUGIN
   * for one that cannot be used. `savedIn`: the run's folder if its config.json named them, not the
   * user; a folder from a stranger must not bring code that is then run.
   */
  families(plugins: readonly string[] | null, savedIn?: string): Promise<Families>;
  /** A local folder with config.json, weights and tokenizer. */
  model(name: string): Promise<string>;
  /** A local folder with a PEFT adapter. */
  adapter(name: string): Promise<string>;
  /** A path or hub data set; null means the task's own data set on the hub. */
  data(name: string | null, own: HubData | undefined): Promise<DataLocation>;
}

/** Everything needed to tokenize a task's texts for a model. */
export interface TokenizeOptions {
  readonly tokenizer: TokenizerSource;
  /** Maximum tokens per example, special tokens included; longer ones are truncated. */
  readonly maxLength: number;
  /** Number of token embeddings. */
  readonly vocabSize: number;
  /** Path of the config.json that `vocabSize` was read from. */
  readonly modelConfig: string;
  /** Longest sequence that the model can read or generate, in tokens. */
  readonly maxPositions: number;
  /** Contents of config.json. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** Contents of generation_config.json, if it exists. */
  readonly generationConfig?: Readonly<Record<string, unknown>>;
  /** Takes every text for one of the maximum length: for a plan without the tokenizer library. */
  readonly untokenized?: boolean;
}

/** A model's folder, read except for its weights. */
export interface ModelFiles {
  readonly dir: string;
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly plugin: ModelPlugin;
  /** Where the plugin comes from; undefined for one of the program itself. */
  readonly origin: PluginOrigin | undefined;
  readonly config: object;
  readonly tokenize: TokenizeOptions;
}

/**
 * Reads a model's folder: config.json, its family's plugin and the tokenizer's files. Throws E_FLAG
 * if `maxLength` exceeds what the model can read.
 */
export async function openModelFiles(
  { model, tokenizer, maxLength }: Pick<RunConfig, "model" | "tokenizer" | "maxLength">,
  families: Families,
  sources: Sources,
): Promise<ModelFiles> {
  const dir = await sources.model(model);
  const { path, rawConfig, plugin, origin, config } = openModelConfig(dir, families);
  const limits = plugin.limits(config);
  if (maxLength > limits.maxLength) {
    throw errors.flag(
      "max-length",
      `must be at most ${limits.maxLength} for this model, got ${maxLength}`,
      `--max-length ${limits.maxLength} cuts longer texts`,
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
  return { dir, rawConfig, plugin, origin, config, tokenize };
}

/** Reads a model's config.json by its family, and nothing else. */
export function openModelConfig(
  dir: string,
  families: Families,
): Omit<ModelFiles, "dir" | "tokenize"> & { readonly path: string } {
  const path = join(dir, "config.json");
  const rawConfig = readJsonObject(path);
  const { plugin, origin } = families.familyOf(String(rawConfig["model_type"]));
  const { quantization_config: quantized = null } = rawConfig;
  if (quantized !== null) {
    const hint = "its layers are quantised: give the model that it was made from with --model";
    throw errors.config(path, "quantization_config", "unset", quantized, hint);
  }
  return { path, rawConfig, plugin, origin, config: plugin.parseConfig(rawConfig) };
}

/** The head that a run needs on its model. */
export interface HeadSpec {
  readonly kind: HeadKind;
  /** Width of the output. */
  readonly width: number;
  /** What padded positions attend to in the span loss; undefined leaves padding out. */
  readonly paddedQueries: PaddedQueries | undefined;
}

/** Declares the model for a task; null dropout keeps the model's own. */
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

/** Parameter count of the pretrained model, heads excluded. */
export function backboneParameters({ tree, plugin }: DeclaredModel): number {
  return [...tree.parameters.values()]
    .filter(({ name }) => !plugin.adapters.trainable.some((pattern) => pattern.test(name)))
    .reduce((sum, { length }) => sum + length, 0);
}
