import {
  choice,
  integer,
  type Setting,
  type SettingTable,
  text,
  toggle,
} from "../core/config/setting.ts";
import { settings } from "../core/config/settings.ts";
import { importHint, type Instead, reportTo, reportToWords, wantsCsv } from "./report-to.ts";

/*
 * Flags of the authors' scripts, of transformers' run_glue, run_qa and run_summarization, and of
 * their TrainingArguments (version 5.24 and those before it) that are no flags of `run` themselves.
 */

/** Flags that together select what `--method` selects here. */
export const methodFlags = {
  applyAdalora: toggle(false, "train with AdaLoRA", { aliases: ["apply-rankselector"] }),
  applyLora: toggle(false, "train LoRA matrices"),
  applyBitfit: toggle(false, "train biases"),
  loraType: choice(["svd", "frd"], "frd", "LoRA's form: SVD triplets or pairs"),
};

/** Settings with further names in the scripts, or whose values are written differently there. */
export const renamedFlags = {
  task: also(settings.task, ["dataset-name"], {
    read: (raw) => settings.task.read(typeof raw === "string" ? raw.replace(/^.*\//, "") : raw),
  }),
  labelColumn: also(settings.labelColumn, ["summary-column"]),
  maxSteps: also(settings.maxSteps, ["max-step"], {
    read: (raw) => (raw === "-1" ? null : settings.maxSteps.read(raw)), // -1: not set
  }),
  warmupSteps: also(settings.warmupSteps, [], {
    // Since transformers 5 a value below 1 is a share of all steps.
    read: (raw) => settings.warmupSteps.read(raw) ?? settings.warmupRatio.read(raw) ?? undefined,
  }),
  optimizer: also(settings.optimizer, [], {
    // The same update, by other kernels.
    read: (raw) =>
      settings.optimizer.read(
        /^adamw_(torch|apex)(_fused|_xla)?$/.test(String(raw)) ? "adamw" : raw,
      ),
  }),
  labelSmoothing: also(settings.labelSmoothing, [], {
    // 0, the default of every task, must not be refused for the tasks without it.
    read: (raw) => {
      const smoothing = settings.labelSmoothing.read(raw);
      return smoothing === 0 ? null : smoothing;
    },
  }),
  batchSize: also(settings.batchSize, ["per-gpu-train-batch-size"]),
  evalBatchSize: also(settings.evalBatchSize, ["per-gpu-eval-batch-size"]),
  evalLimit: also(settings.evalLimit, ["max-val-samples"]),
  numBeams: also(settings.numBeams, ["generation-num-beams"]),
  metric: also(settings.metric, [], {
    read: (raw) => settings.metric.read(typeof raw === "string" ? raw.replace(/^eval_/, "") : raw),
  }),
  saveSteps: also(settings.saveSteps, ["checkpointing-steps"]),
  checkpointing: also(settings.checkpointing, ["activation-checkpointing"]),
};

/** Flags that stand for a value of one of run's settings: see `scriptValues`. */
export const translatedFlags = {
  bf16: toggle(false, "--dtype bf16"),
  useCpu: toggle(false, "--device cpu", { aliases: ["no-cuda"] }),
  trainSamplingStrategy: choice(["random", "group_by_length"], null, "--bucketed"),
  sortishSampler: toggle(false, "--bucketed"),
  valMaxTargetLength: integer(null, "--max-target-length", {
    min: 2,
    aliases: ["val-max-target-length", "generation-max-length"],
  }),
  processes: integer(1, "processes", { min: 1, aliases: ["nproc-per-node", "num-processes"] }),
};

/** Flags whose values must agree with the run's other settings: see `checkScript`. */
export const checkedFlags = {
  evaluationStrategy: choice(["steps", "epoch", "no"], "steps", "--eval-steps decides", {
    aliases: ["eval-strategy"],
  }),
  greaterIsBetter: toggle(true, "the metric decides"),
  dataSeed: integer(null, "--seed decides", { min: 0 }),
};

/** Flags that have no effect here, whatever their value; `about` says why. */
export const ignoredFlags: SettingTable = {
  doTrain: toggle(true, "run trains"),
  doEval: toggle(true, "run evaluates"),
  doPredict: toggle(false, "adalora predict predicts the test set"),
  loggingFirstStep: toggle(false, "the first step is always logged"),
  tbWritterLoginterval: integer(500, "--log-steps decides", { min: 1 }),
  predictionLossOnly: toggle(false, "metrics are computed too"),
  bf16FullEval: toggle(false, "evaluations have the dtype of the run"),
  predictWithGenerate: toggle(true, "summaries are always generated"),
  useCache: toggle(true, "generation always keeps keys and values"),
  loadBestModelAtEnd: toggle(false, "the best step is saved beside the last one"),
  saveOnlyModel: toggle(false, "every checkpoint can be resumed"),
  saveSafetensors: toggle(true, "weights are always safetensors"),
  ignoreDataSkip: toggle(false, "--resume continues with the next examples"),
  version2WithNegative: toggle(true, "the task decides", { aliases: ["version-2-with-negative"] }),
  datasetConfig: choice(["3.0.0"], "3.0.0", "the recipe's own", {
    aliases: ["dataset-config-name"],
  }),
  maxPredictSamples: value("adalora predict --limit limits them", ["max-test-samples"]),
  testFile: value("adalora predict --input predicts it"),
  overwriteCache: toggle(false, "the cache is keyed by content"),
  ...each("padding is never computed", {
    switches: ["padToMaxLength", "ignorePadTokenForLoss"],
  }),
  ...each("TensorBoard files are always written", { switches: ["withTracking"] }),
  ...each("logs are in the run's folder", { values: ["loggingDir"] }),
  ...each("--out names the run", { values: ["runName"] }),
  ...each("nothing is sent to a tracking service", {
    values: ["project", "trackioSpaceId", "trackioBucketId", "trackioStaticSpaceId"],
  }),
  ...each("--quiet prints warnings, errors and the result only", {
    switches: ["disableTqdm"],
    values: ["logLevel", "logLevelReplica"],
  }),
  ...each("there is one tokenizer", { switches: ["useFastTokenizer", "useSlowTokenizer"] }),
  ...each("no code of a model's or data set's repository is run", {
    switches: ["trustRemoteCode"],
  }),
  ...each("the head is made for the task", { switches: ["ignoreMismatchedSizes"] }),
  ...each("runs repeat exactly", { switches: ["useDeterministicAlgorithms", "fullDeterminism"] }),
  ...each("nothing is uploaded without --push_to_hub", {
    switches: ["hubPrivateRepo", "hubAlwaysPush"],
    values: ["hubToken", "hubModelId", "hubStrategy", "hubRevision"],
    aliases: {
      hubToken: ["push-to-hub-token"],
      hubModelId: ["push-to-hub-model-id", "push-to-hub-organization"],
    },
  }),
  ...each("examples are read and tokenised once, before training", {
    switches: ["dataloaderPinMemory", "dataloaderPersistentWorkers", "dataloaderInOrder"],
    values: [
      "dataloaderNumWorkers",
      "dataloaderPrefetchFactor",
      "dataloaderMultiprocessingContext",
      "preprocessingNumWorkers",
      "lengthColumnName",
    ],
  }),
  ...each("only the task's columns are read", { switches: ["removeUnusedColumns"] }),
  ...each("the task's metrics are computed over all predictions", {
    switches: [
      "evalDoConcatBatches",
      "evalUseGatherObject",
      "batchEvalMetrics",
      "includeInputsForMetrics",
      "useLegacyPredictionLoop",
    ],
    values: ["evalAccumulationSteps", "includeForMetrics", "pastIndex"],
  }),
  ...each("there is one process", {
    switches: [
      "averageTokensAcrossDevices",
      "logOnEachNode",
      "saveOnEachNode",
      "ddpFindUnusedParameters",
      "ddpBroadcastBuffers",
      "ddpStaticGraph",
      "dispatchBatches",
      "splitBatches",
    ],
    values: [
      "acceleratorConfig",
      "ddpBucketCapMb",
      "ddpBackend",
      "ddpTimeout",
      "localRank",
      "rayScope",
      "fsdpConfig",
      "fsdpMinNumParams",
      "mpParameters",
      "tpuNumCores",
      "xpuBackend",
    ],
  }),
  ...each("adalora has kernels of its own", {
    switches: [
      "torchCompile",
      "useLigerKernel",
      "jitModeEval",
      "useIpex",
      "tpuMetricsDebug",
      "useMpsDevice",
    ],
    values: ["torchCompileBackend", "torchCompileMode", "ligerKernelConfig", "torchdynamo"],
  }),
  ...each("--dtype decides", { values: ["fp16OptLevel", "halfPrecisionBackend", "fp16Backend"] }),
  ...each("each layer is recomputed", {
    values: ["activationCheckpointingKwargs", "gradientCheckpointingKwargs"],
  }),
  ...each("all memory is one arena", { values: ["torchEmptyCacheSteps"] }),
  ...each("adalora plan tells the memory beforehand", { switches: ["skipMemoryMetrics"] }),
  ...each("a loss that is not finite ends the run", {
    switches: ["loggingNanInfFilter"],
    values: ["debug"],
  }),
  ...each("progress shows tokens per second", {
    switches: ["includeTokensPerSecond"],
    values: ["includeNumInputTokensSeen"],
  }),
  ...each("SIGINT and SIGTERM save a checkpoint", { switches: ["enableJitCheckpoint"] }),
  ...each("a checkpoint holds all that training needs", {
    switches: ["restoreCallbackStatesFromCheckpoint"],
  }),
};

/** A flag that is refused, except for the values that change nothing. */
export interface RefusedFlag {
  readonly setting: Setting<unknown>;
  /** The values that change nothing here: other programs' defaults. */
  readonly allows: readonly unknown[];
  /** What to use instead. */
  readonly instead: string;
  /** What to use instead of one value; undefined where `instead` says it. */
  readonly insteadOf?: (value: unknown) => Instead | undefined;
  /** Why an allowed value has no effect; undefined where that needs no word. */
  readonly note?: string;
  /** Whether an allowed value has an effect after all. */
  readonly hasEffect?: (value: unknown) => boolean;
}

/** Flags that are refused unless their value changes nothing, and what to use instead. */
export const refusedFlags: Readonly<Record<string, RefusedFlag>> = {
  fp16: off("--dtype bf16 is for processors that multiply it; there is no fp16"),
  fp16FullEval: off("an evaluation has the run's dtype: --dtype f32 or bf16"),
  pushToHub: off("upload the adapter/ of the run's folder with: hf upload ORG/NAME DIR"),
  autoFindBatchSize: off("adalora plan tells the memory of a --batch-size"),
  evalOnStart: off("the first evaluation is at --eval-steps"),
  dataloaderDropLast: off("every example is trained on; --max-steps sets the number of steps"),
  adafactor: off("--optimizer adamw or adamw-hf"),
  applyAdapter: off("--method adalora, lora, svd-lora, prune-lora, bitfit, head or full"),
  resizePositionEmbeddings: off("--max-length must not exceed the model's positions"),
  loggingStrategy: only(["steps"], "--log-steps N, for log.jsonl and TensorBoard", {
    note: "--log-steps decides",
  }),
  saveStrategy: only(["steps", "best"], "--save-steps N; the last and best step are always saved", {
    note: "--save-steps decides",
  }),
  reportTo: {
    setting: reportTo,
    allows: reportToWords,
    instead: "log.jsonl and tensorboard/ in the run's folder hold every value",
    insteadOf: importHint,
    note: "TensorBoard files are always written",
    hasEffect: wantsCsv,
  },
  evalDelay: only(["0", "0.0"], "the first evaluation is at --eval-steps"),
  modelRevision: only(["main"], "--model org/name@REVISION"),
  neftuneNoiseAlpha: only([], "--dropout and --lora-dropout; there is no NEFTune"),
  lrSchedulerKwargs: only(
    ["{}", ""],
    "--schedule, --warmup-steps and --lr; schedules have no more",
  ),
  optimArgs: only([""], "--adam-beta1, --adam-beta2, --adam-eps and --weight-decay"),
  optimTargetModules: only([], "--modules names the layers to adapt"),
  labelNames: only([], "--label-column names the labels' column, --labels the classes"),
  resumeFromCheckpoint: only(["False", "false"], "--resume --out DIR resumes the run in DIR"),
  generationConfig: only([], "the model's own generation_config.json, --num-beams and others"),
  deepspeed: only([""], "--checkpointing or --dtype bf16 need less memory"),
  fsdp: only([""], "--checkpointing or --dtype bf16 need less memory"),
  shardedDdp: only([""], "--checkpointing or --dtype bf16 need less memory"),
  parallelismConfig: only([], "--grad-accum N makes the batch of N processes"),
  cacheDir: only([], "HF_HOME is the folder of the hub's cache"),
  token: only([], "HF_TOKEN is the hub's token", { aliases: ["use-auth-token"] }),
  configName: only([], "--model DIR has the model's config.json"),
  modelType: only([], "--model DIR has the model's config.json"),
  lang: only([], "--model of one language"),
  forcedBosToken: only([], "the model's own generation_config.json"),
  loraPath: only([], "adalora eval --adapter DIR, or --resume"),
  adapterPath: only([], "adalora eval --adapter DIR, or --resume"),
  adapterType: only([], "--method adalora, lora, svd-lora, prune-lora, bitfit, head or full"),
  adapterSize: only([], "--init-rank is the size of an adapter"),
  regLossWgt: only(["0", "0.0"], "--reg-orth-coef weighs the orthogonality loss"),
  maskingProb: only(["0", "0.0"], "--dropout; tokens are not masked"),
};

// --- internal ---

/** A setting with more names, and perhaps another way to read its text. */
function also<T>(
  setting: Setting<T>,
  aliases: readonly string[],
  reading?: Pick<Setting<unknown>, "read">,
): Setting<unknown> {
  return { ...setting, ...reading, aliases: [...setting.aliases, ...aliases] };
}

/** A flag with a value of any form. */
function value(why: string, aliases: readonly string[] = []): Setting<unknown> {
  return text(null, why, { aliases, pattern: /^/ });
}

interface Names {
  readonly switches?: readonly string[];
  readonly values?: readonly string[];
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
}

/** Several flags without effect, for the same reason. */
function each(why: string, { switches = [], values = [], aliases = {} }: Names): SettingTable {
  return Object.fromEntries([
    ...switches.map((name) => [name, toggle(true, why)] as const),
    ...values.map((name) => [name, value(why, aliases[name])] as const),
  ]);
}

/** A switch that must be off. */
function off(instead: string): RefusedFlag {
  return { setting: toggle(false, instead), allows: [false], instead };
}

/** A flag that only some values are allowed for. */
function only(
  allows: readonly string[],
  instead: string,
  { aliases = [], note }: { readonly aliases?: readonly string[]; readonly note?: string } = {},
): RefusedFlag {
  return { setting: value(instead, aliases), allows, instead, ...(note !== undefined && { note }) };
}
