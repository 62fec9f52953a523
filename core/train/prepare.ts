import { join } from "node:path";
import { selectLinears } from "../adalora/wrap.ts";
import type { DataSplit, ReadSpec } from "../data/examples.ts";
import { glueTasks, isGlueTask, type GlueTask } from "../data/glue-tasks.ts";
import { locateSplits } from "../data/splits.ts";
import { errors } from "../errors.ts";
import { readJsonObject } from "../io/json-file.ts";
import type { Scored } from "../metrics/glue-metrics.ts";
import type { ModelPlugin, Task } from "../plugin.ts";
import { readTokenizer } from "../text/load-tokenizer.ts";
import type { RunConfig } from "./config.ts";
import { type Dataset, type TokenizeOptions, loadDataset } from "./dataset.ts";
import { adapting, isOneOf } from "./method.ts";
import { type DeclaredModel, declareModel } from "./open-model.ts";
import { type RunSchedule, resolveSchedule } from "./phases.ts";
import { type RankTarget, resolveTarget } from "./target.ts";

/** Where models and data come from: the hub for names, the disk for paths. */
export interface Sources {
  readonly plugins: { readonly pluginFor: (modelType: string) => ModelPlugin };
  /** A local folder with config.json, weights and tokenizer. */
  model(name: string): Promise<string>;
  /** A local folder or file with the task's data; null: the task's own data set on the hub. */
  data(name: string | null, task: GlueTask | undefined): Promise<string>;
}

/** What a task asks of a model. */
export interface TaskSpec {
  readonly glue: GlueTask | undefined;
  readonly kind: Task;
  readonly scored: Scored;
  readonly labelNames: readonly string[] | undefined;
  /** Width of the model's output. */
  readonly width: number;
}

/** A model's folder, read but without weights. */
export interface ModelFiles {
  readonly dir: string;
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly plugin: ModelPlugin;
  readonly config: object;
  readonly tokenize: TokenizeOptions;
}

/** Everything of a run that can be known and checked before a number is computed. */
export interface PreparedRun {
  readonly config: RunConfig;
  readonly files: ModelFiles;
  readonly spec: TaskSpec;
  readonly declared: DeclaredModel;
  readonly target: RankTarget | undefined;
  readonly schedule: RunSchedule;
  readonly train: Dataset;
  readonly validation: readonly Dataset[];
  /** Splits without labels, which a GLUE submission is made of. */
  readonly test: readonly DataSplit[];
  readonly warnings: readonly string[];
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
  const tokenize = { tokenizer: source, maxLength, vocabSize: limits.vocabSize, modelConfig: path };
  return { dir, rawConfig, plugin, config, tokenize };
}

/**
 * Reads and checks the data, resolves ranks and schedule, declares the model. Throws the first of all that would make the
 * run fail later; what is only suspicious is a warning.
 */
export async function prepareRun(config: RunConfig, sources: Sources): Promise<PreparedRun> {
  const glue = isGlueTask(config.task) ? glueTasks[config.task] : undefined;
  const kind = glue?.kind ?? (config.task === "regression" ? "regression" : "classification");
  const data = await sources.data(config.data, glue);
  const splits = locateSplits(data, {
    task: glue,
    ...(config.evalData === null ? {} : { validation: config.evalData }),
  });
  const files = await openModelFiles(config, sources);
  const spec = readSpec(config, glue, kind);
  const train = await loadTrain(splits, data, spec, files.tokenize);
  const labelled = { ...spec, labelNames: train.labelNames };
  const validation: Dataset[] = [];
  for (const split of splits.filter(({ role }) => role === "validation")) {
    validation.push(await loadDataset(split, labelled, files.tokenize));
  }
  const task = taskSpec(glue, kind, train.labelNames);
  const declared = declareRunModel(files, task, config);
  const target = isOneOf(config.method, adapting) ? targetOf(config, declared) : undefined;
  const { findings, ...schedule } = resolveSchedule(config, train.lengths.length);
  const [problem] = [...(target?.findings.problems ?? []), ...findings.problems];
  if (problem) throw problem;
  const none = validation.length === 0 ? ["no validation split: nothing is evaluated"] : [];
  const warnings = [
    ...train.warnings,
    ...validation.flatMap((dataset) => dataset.warnings),
    ...none,
    ...(target?.findings.warnings ?? []),
    ...findings.warnings,
  ];
  const test = splits.filter(({ role }) => role === "test");
  return {
    config,
    files,
    spec: task,
    declared,
    target,
    schedule,
    train,
    validation,
    test,
    warnings,
  };
}

/** The data's columns and labels, as the configuration names them. */
export function readSpec(
  {
    textColumn,
    pairColumn,
    labelColumn,
    limit,
  }: Pick<RunConfig, "textColumn" | "pairColumn" | "labelColumn" | "limit">,
  task: GlueTask | undefined,
  kind: Task,
): ReadSpec {
  return {
    task,
    kind,
    labels: "required",
    ...(textColumn === null ? {} : { textColumn }),
    ...(pairColumn === null ? {} : { pairColumn }),
    ...(labelColumn === null ? {} : { labelColumn }),
    ...(limit === null ? {} : { limit }),
  };
}

/** A task's output and metrics. Data of one's own is scored by accuracy, with F1 for two classes; scores by correlation. */
export function taskSpec(
  glue: GlueTask | undefined,
  kind: Task,
  labelNames: readonly string[] | undefined,
): TaskSpec {
  if (kind === "regression") {
    return {
      glue,
      kind,
      scored: glue ?? { metrics: ["pearson", "spearmanr"] },
      labelNames: undefined,
      width: 1,
    };
  }
  const width = labelNames?.length ?? 2;
  const own: Scored = { metrics: width === 2 ? ["accuracy", "f1"] : ["accuracy"] };
  return { glue, kind, scored: glue ?? own, labelNames, width };
}

export function declareRunModel(
  { plugin, config }: ModelFiles,
  { kind, width }: TaskSpec,
  { clsDropout, dropout }: Pick<RunConfig, "clsDropout" | "dropout">,
): DeclaredModel {
  const overrides = {
    ...(dropout === null ? {} : { hidden: dropout, attention: dropout }),
    ...(clsDropout === null ? {} : { head: clsDropout }),
  };
  return declareModel(plugin, config, { task: kind, labels: width, dropout: overrides });
}

async function loadTrain(
  splits: readonly DataSplit[],
  data: string,
  spec: ReadSpec,
  tokenize: TokenizeOptions,
): Promise<Dataset> {
  const [split, ...more] = splits.filter(({ role }) => role === "train");
  if (!split || more.length > 0)
    throw errors.file(data, "holds no training split", "name a folder with train.* or a file");
  return loadDataset(split, spec, tokenize);
}

function targetOf(config: RunConfig, declared: DeclaredModel) {
  const matrices = selectLinears(declared.tree, declared.plugin, config.modules ?? undefined);
  return resolveTarget(config, { parameters: backboneParameters(declared), matrices });
}

/** Parameters of the pretrained model, heads left out. */
export function backboneParameters({ tree, plugin }: DeclaredModel): number {
  return [...tree.parameters.values()]
    .filter(({ name }) => !plugin.adapters.trainable.some((pattern) => pattern.test(name)))
    .reduce((sum, { length }) => sum + length, 0);
}
