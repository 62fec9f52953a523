import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { AllocatorRule } from "../adalora/allocator.ts";
import type { Start } from "../adalora/start.ts";
import { adapterMethods, isOneOf } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { classWarnings } from "../data/class-names.ts";
import type { HubData } from "../data/data-location.ts";
import { type AdaloraError, errors } from "../errors.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { matchWeights } from "../model/load-weights.ts";
import {
  backboneParameters,
  declareRunModel,
  type ModelFiles,
  openModelFiles,
  type Sources,
} from "../model/model-files.ts";
import type { Families } from "../model/families.ts";
import type { DeclaredModel } from "../model/open-model.ts";
import { selectLinears } from "../model/select-linears.ts";
import { taskNamed } from "../tasks/index.ts";
import { resolvePadding } from "../tasks/padded-queries.ts";
import type {
  PredictionSet,
  RunSpec,
  SplitText,
  Task,
  TaskSpec,
  TrainingSet,
} from "../tasks/task.ts";
import { type Attempt, attemptWith, type OnProblem } from "./attempt.ts";
import type { HeldOut } from "./held-out.ts";
import { type Diagnostics, type RunSchedule, resolveSchedule } from "./phases.ts";
import { type ReadData, readData } from "./read-data.ts";
import { allocatorOf, builtIn, type Registry, startOf } from "./registry.ts";
import { type RankTarget, resolveTarget } from "./target.ts";

/** A validated run: everything that can be resolved and checked without computing anything. */
export interface PreparedRun {
  /** Paths are absolute, initial rank and class names resolved: repeats the run from any folder. */
  readonly config: RunConfig;
  readonly files: ModelFiles;
  readonly spec: RunSpec;
  /** The task's own data set on the hub. */
  readonly hub: HubData | undefined;
  readonly declared: DeclaredModel;
  readonly target: RankTarget | undefined;
  readonly schedule: RunSchedule;
  /** Allocates ranks; undefined for methods with fixed ranks. */
  readonly allocator: AllocatorRule | undefined;
  readonly start: Start;
  readonly train: TrainingSet;
  readonly validation: readonly PredictionSet[];
  /** The texts of `validation`, before they were tokenized. */
  readonly validationTexts: readonly SplitText[];
  /** The training rows that `validation` consists of; undefined if it has data of its own. */
  readonly heldOut: HeldOut | undefined;
  readonly warnings: readonly string[];
}

/** All diagnostics of a run, and the prepared run if there were no problems. */
export interface Inspection extends Diagnostics {
  /** Undefined if there are problems. */
  readonly run: PreparedRun | undefined;
}

/**
 * Reads and checks the data and the model's files, declares the model and resolves ranks and
 * schedule. Throws the first problem that would make the run fail later, data problems first;
 * settings that are merely suspicious become warnings. Plugins are loaded before anything is read. `onStage` gets the name of each stage.
 */
export async function prepareRun(
  config: RunConfig,
  sources: Sources,
  registry: Registry = builtIn,
  onStage: OnStage = () => {},
): Promise<PreparedRun> {
  const onProblem = (problem: AdaloraError) => {
    throw problem;
  };
  const run = await inspect(config, sources, registry, onProblem, onStage);
  if (run === undefined) throw new Error("internal: preparing the run failed without a problem");
  return run;
}

/** As prepareRun, but collects every problem instead of throwing the first. */
export async function inspectRun(
  config: RunConfig,
  sources: Sources,
  registry: Registry = builtIn,
): Promise<Inspection> {
  const problems: AdaloraError[] = [];
  const run = await inspect(config, sources, registry, (problem) => void problems.push(problem));
  return { run: problems.length === 0 ? run : undefined, problems, warnings: run?.warnings ?? [] };
}

// --- internal ---

type OnStage = (text: string) => void;

/** Checks a run in dependency order: data, model, ranks, schedule, tokenized sets. */
async function inspect(
  config: RunConfig,
  sources: Sources,
  registry: Registry,
  onProblem: OnProblem,
  onStage: OnStage = () => {},
): Promise<PreparedRun | undefined> {
  const attempt = attemptWith(onProblem);
  const report = ({ problems }: Diagnostics) => problems.forEach(onProblem);
  const rules = await attempt(() => rulesOf(config, registry));
  const families = await attempt(() => sources.families(config.plugins, config.out ?? undefined));
  const task = taskNamed(config.task, config, registry.tasks);
  await attempt(() => checkLabels(config, task));
  onStage("reading the data");
  const data = await readData(config, task, sources, attempt);
  const taskSpec = task.spec(data.labelNames);
  await attempt(() => checkMetric(config, taskSpec));
  onStage("reading the model's files");
  const model = families && (await inspectModel(config, taskSpec, families, sources, attempt));
  const ranks = model && (await attempt(() => resolveRanks(config, model.declared, rules?.start)));
  const features = data.train?.featureCount;
  if (ranks?.diagnostics) report(ranks.diagnostics);
  const knownSchedule = features === undefined ? undefined : scheduleOf(config, features);
  if (knownSchedule) report(knownSchedule.diagnostics);
  const datasets = model && (await tokenizeAll(data, model.files, attempt, onStage));
  const schedule =
    knownSchedule ?? (datasets?.train && scheduleOf(config, datasets.train.lengths.length));
  if (schedule && !knownSchedule) report(schedule.diagnostics);
  if (!rules || !model || !ranks || !schedule || !datasets?.train) return undefined;
  const { train, validation } = datasets;
  const labels = task.labelNames === undefined ? model.spec.labelNames : undefined;
  const resolved = { initRank: ranks.target?.initRank ?? null, labels: labels ?? null };
  return {
    config: { ...withAbsolutePaths(config), ...resolved },
    files: model.files,
    spec: model.spec,
    hub: task.hub,
    declared: model.declared,
    target: ranks.target,
    schedule: schedule.schedule,
    ...rules,
    train,
    validation,
    validationTexts: data.validation,
    heldOut: data.heldOut,
    warnings: unique([
      ...[train, ...validation].flatMap(({ warnings }) => warnings),
      ...data.warnings,
      ...classWarnings(train.overview(0).classes ?? []),
      ...model.warnings,
      ...[ranks.diagnostics, schedule.diagnostics].flatMap(
        (diagnostics) => diagnostics?.warnings ?? [],
      ),
    ]),
  };
}

/** Parts of one file have its warnings in common. */
const unique = (texts: readonly string[]) => [...new Set(texts)];

function rulesOf(config: RunConfig, registry: Registry): Pick<PreparedRun, "allocator" | "start"> {
  return { allocator: allocatorOf(config, registry), start: startOf(config, registry) };
}

/** Opens the model's files, declares it for the task and matches weight names and shapes. */
async function inspectModel(
  config: RunConfig,
  taskSpec: TaskSpec,
  families: Families,
  sources: Sources,
  attempt: Attempt,
) {
  const files = await attempt(() => openModelFiles(config, families, sources));
  const padding = files && (await attempt(() => resolvePadding(taskSpec.paddedQueries, files.dir)));
  const spec = padding && { ...taskSpec, paddedQueries: padding.paddedQueries };
  const declared = files && spec && (await attempt(() => declareRunModel(files, spec, config)));
  if (!declared) return undefined;
  await attempt(() => checkWeights(files, declared));
  return { files, spec, declared, warnings: padding.warnings };
}

/** Rejects --labels unless the task is classification of the user's own data. */
function checkLabels({ labels }: RunConfig, { name, kind, labelNames }: Task): void {
  if (labels === null || (labelNames === undefined && kind === "classification")) return;
  throw errors.unusable("--labels", `task ${name}`, "it names the classes of your own data");
}

function checkMetric({ metric }: RunConfig, spec: TaskSpec): void {
  const { metrics } = spec;
  if (metric === null || metrics.includes(metric)) return;
  throw errors.flag("metric", `must be one of ${metrics.join(", ")}, got "${metric}"`);
}

/** Matches the checkpoint's names and shapes to the declared model; reads no values. */
function checkWeights({ dir, plugin }: ModelFiles, { tree }: DeclaredModel): void {
  matchWeights(tree, openCheckpoint(dir).tensors, plugin, dir);
}

function resolveRanks(config: RunConfig, declared: DeclaredModel, start: Start | undefined) {
  if (!isOneOf(config.method, adapterMethods)) return { target: undefined, diagnostics: undefined };
  const matrices = selectLinears(declared.tree, declared.plugin, config.modules ?? undefined);
  const parameters = backboneParameters(declared);
  const { diagnostics, ...target } = resolveTarget(config, { parameters, matrices });
  start?.check?.(matrices, target.initRank);
  return { target, diagnostics };
}

function scheduleOf(config: RunConfig, trainRows: number) {
  const { diagnostics, ...schedule } = resolveSchedule(config, trainRows);
  return { schedule, diagnostics };
}

async function tokenizeAll(
  { train, validation }: ReadData,
  files: ModelFiles,
  attempt: Attempt,
  onStage: OnStage,
) {
  const announce = ({ name, featureCount }: SplitText) => {
    const count =
      featureCount === undefined ? "" : `, ${featureCount.toLocaleString("en-US")} rows`;
    onStage(`tokenizing ${name}${count}`);
  };
  if (train) announce(train);
  const trainingSet = train && (await attempt(() => train.forTraining(files.tokenize)));
  const predictionSets: PredictionSet[] = [];
  for (const split of validation) {
    announce(split);
    const set = await attempt(() => split.forPrediction(files.tokenize));
    if (set) predictionSets.push(set);
  }
  return { train: trainingSet, validation: predictionSets };
}

/** Makes names that are existing local paths absolute; hub names stay as they are. */
function withAbsolutePaths(config: RunConfig): RunConfig {
  const { model, tokenizer, data, evalData } = config;
  const absolute = <P extends string | null>(name: P) =>
    name !== null && existsSync(name) ? resolve(name) : name;
  return {
    ...config,
    model: absolute(model),
    tokenizer: absolute(tokenizer),
    data: absolute(data),
    evalData: absolute(evalData),
  };
}
