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
import { startFrom } from "../model/starting-layers.ts";
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
import { type Attempt, attemptWith } from "./attempt.ts";
import type { HeldOut } from "./held-out.ts";
import { type Diagnostics, type RunSchedule, resolveSchedule } from "./phases.ts";
import { readData } from "./read-data.ts";
import { allocatorOf, builtIn, type Registry, startOf } from "./registry.ts";
import { resolvedConfig } from "./resolved-config.ts";
import { openStartingAdapter, type StartingAdapter } from "./starting-adapter.ts";
import { type RankTarget, resolveTarget } from "./target.ts";
import { type PrepareCallbacks, tokenizeAll, tokenizeOrAssume } from "./tokenize-splits.ts";

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
  /** The adapter of `--from`, whose values `start` gives; undefined for a new adapter. */
  readonly from: StartingAdapter | undefined;
  readonly train: TrainingSet;
  readonly validation: readonly PredictionSet[];
  /** The texts of `validation`, before they were tokenized. */
  readonly validationTexts: readonly SplitText[];
  /** The training rows that `validation` consists of; undefined if it has data of its own. */
  readonly heldOut: HeldOut | undefined;
  readonly warnings: readonly string[];
  /** Why the texts could not be tokenized: all are taken for texts of the maximum length. */
  readonly untokenized?: AdaloraError | undefined;
}

/** All diagnostics of a run, and the prepared run if there were no problems. */
export interface Inspection extends Diagnostics {
  /** Undefined if there are problems. */
  readonly run: PreparedRun | undefined;
}

/**
 * Reads and checks the data and the model's files, declares the model and resolves ranks and
 * schedule. Throws the first problem that would make the run fail later, data problems first;
 * settings that are merely suspicious become warnings. Plugins are loaded before anything is read.
 * `onStage` gets the name of each stage.
 */
export async function prepareRun(
  config: RunConfig,
  sources: Sources,
  registry: Registry = builtIn,
  onStage: PrepareCallbacks["onStage"] = () => {},
): Promise<PreparedRun> {
  const onProblem = (problem: AdaloraError) => {
    throw problem;
  };
  const run = await inspect(config, sources, registry, {
    onProblem,
    onStage,
    tokenize: tokenizeAll,
  });
  if (run === undefined) throw new Error("internal: preparing the run failed without a problem");
  return run;
}

/**
 * As prepareRun, but collects every problem instead of throwing the first. Where the tokenizer
 * library can't be loaded, and the tokens are not cached, texts are taken for the longest possible
 * ones, unless the number of features depends on them.
 */
export async function inspectRun(
  config: RunConfig,
  sources: Sources,
  registry: Registry = builtIn,
): Promise<Inspection> {
  const problems: AdaloraError[] = [];
  const run = await inspect(config, sources, registry, {
    onProblem: (problem) => void problems.push(problem),
    onStage: () => {},
    tokenize: tokenizeOrAssume,
  });
  return { run: problems.length === 0 ? run : undefined, problems, warnings: run?.warnings ?? [] };
}

// --- internal ---

interface InspectOptions extends PrepareCallbacks {
  readonly tokenize: typeof tokenizeAll;
}

/** Checks a run in dependency order: data, model, ranks, schedule, tokenized sets. */
async function inspect(
  config: RunConfig,
  sources: Sources,
  registry: Registry,
  { onProblem, onStage, tokenize }: InspectOptions,
): Promise<PreparedRun | undefined> {
  const attempt = attemptWith(onProblem);
  const report = ({ problems }: Diagnostics) => problems.forEach(onProblem);
  const rules = await attempt(() => rulesOf(config, registry));
  const families = await attempt(() => sources.families(config.plugins));
  const task = taskNamed(config.task, config, registry.tasks);
  await attempt(() => checkLabels(config, task));
  onStage("reading the data");
  const data = await readData(config, task, sources, attempt);
  const taskSpec = task.spec(data.labelNames);
  await attempt(() => checkMetric(config, taskSpec));
  onStage("reading the model's files");
  const model = families && (await inspectModel(config, taskSpec, families, sources, attempt));
  const from = model && (await attempt(() => openStartingAdapter(config, modelOf(model), sources)));
  const ranks =
    model && (await attempt(() => resolveRanks(config, model.declared, rules?.start, from)));
  const features = data.train?.featureCount;
  if (ranks?.diagnostics) report(ranks.diagnostics);
  const knownSchedule = features === undefined ? undefined : scheduleOf(config, features);
  if (knownSchedule) report(knownSchedule.diagnostics);
  const datasets = model && (await tokenize(data, model.files, { onProblem, onStage }));
  const schedule =
    knownSchedule ?? (datasets?.train && scheduleOf(config, datasets.train.lengths.length));
  if (schedule && !knownSchedule) report(schedule.diagnostics);
  const isOpened = config.from === null || from !== undefined;
  if (!rules || !model || !ranks || !schedule || !datasets?.train || !isOpened) return undefined;
  const { train, validation, untokenized } = datasets;
  const labels = task.labelNames === undefined ? model.spec.labelNames : undefined;
  const { files, spec, declared } = model;
  return {
    config: resolvedConfig(config, ranks.target, labels),
    files,
    spec,
    declared,
    hub: task.hub,
    target: ranks.target,
    schedule: schedule.schedule,
    allocator: rules.allocator,
    start: from ? startFrom(from.layers) : rules.start,
    from,
    train,
    validation,
    untokenized,
    validationTexts: data.validation,
    heldOut: data.heldOut,
    warnings: unique([
      ...[train, ...validation, data].flatMap(({ warnings }) => warnings),
      ...classWarnings(train.overview(0).classes ?? []),
      ...[model, ranks.diagnostics, schedule.diagnostics].flatMap((part) => part?.warnings ?? []),
    ]),
  };
}

const modelOf = ({ declared, files }: Pick<PreparedRun, "declared" | "files">) => ({
  declared,
  modelDir: files.dir,
});

/** Drops repeats: the parts of one file share its warnings. */
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

function resolveRanks(
  config: RunConfig,
  declared: DeclaredModel,
  start: Start | undefined,
  from: StartingAdapter | undefined,
) {
  if (!isOneOf(config.method, adapterMethods)) return { target: undefined, diagnostics: undefined };
  if (from) {
    const { diagnostics, ...target } = from.target;
    return { target, diagnostics };
  }
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
