import { allocators } from "../adalora/allocators/index.ts";
import { starts } from "../adalora/starts/index.ts";
import { delimiterNames } from "../data/delimiters.ts";
import { scheduleNames } from "../optim/schedule.ts";
import { adapterMethods, svdMethods, methods, pruningMethods } from "./method.ts";
import { choice, integer, list, named, names, real, stepCount, text, toggle } from "./setting.ts";
import { taskNames } from "./task-names.ts";

const share = {
  pattern: /^\d+(\.\d+)?([kKmM]?|%)$/,
  want: "a count of parameters like 0.32M, or a share like 0.32%",
};
const dropout = { min: 0, below: 1 };
const ema = { min: 0, below: 1, methods: pruningMethods };
const ofSpans = { kinds: ["span"] } as const;
const ofTexts = { kinds: ["generation"] } as const;

/** How a table is read: columns of texts and labels, and what separates them. */
export const columnSettings = {
  textColumn: text(null, "column of the text (default: the task's)", { hint: "NAME" }),
  pairColumn: text(null, "column of the second text or context (default: the task's)", {
    kinds: ["sequence", "span"],
    hint: "NAME",
  }),
  labelColumn: text(null, "column of the label (default: the task's)", { hint: "NAME" }),
  delimiter: choice(
    delimiterNames,
    null,
    "separator of the columns of a text file (default: by the file's ending and header)",
  ),
};

/** How texts are split, prefixed and truncated for a model. */
export const lengthSettings = {
  docStride: integer(128, "tokens shared by neighbouring windows on a long context", {
    ...ofSpans,
    min: 0,
  }),
  sourcePrefix: text(null, "prefix of every source text (default: none)", ofTexts),
  maxTargetLength: integer(128, "tokens of the generated summary; longer ones are truncated", {
    ...ofTexts,
    min: 2,
    aliases: ["val-max-target-length"],
  }),
};

/** How predictions are derived from a model's outputs. */
export const predictionSettings = {
  nBest: integer(20, "best start and end positions to combine, and answers to keep", {
    ...ofSpans,
    min: 1,
    aliases: ["n-best-size"],
  }),
  maxAnswerLength: integer(30, "most tokens of an answer", { ...ofSpans, min: 1 }),
  nullThreshold: real(
    0,
    "predict 'no answer' when its score exceeds the best span's by this margin",
    {
      kinds: ["squad_v2"],
      aliases: ["null-score-diff-threshold"],
    },
  ),
  numBeams: integer(null, "beams of the beam search (default: the model's)", {
    ...ofTexts,
    min: 1,
    max: 64,
  }),
  lengthPenalty: real(
    null,
    "exponent of the length in beam scores; above 0 favours long texts (default: the model's)",
    ofTexts,
  ),
  beamStopping: choice(
    ["true", "false", "never"],
    null,
    "when the search ends; true: once enough beams are finished (default: the model's)",
    ofTexts,
  ),
  minTargetLength: integer(null, "fewest tokens of the generated summary (default: the model's)", {
    ...ofTexts,
    min: 0,
    aliases: ["min-length"],
  }),
  noRepeatNgram: integer(null, "no N tokens in a row are generated twice (default: the model's)", {
    ...ofTexts,
    min: 0,
    off: true,
    aliases: ["no-repeat-ngram-size"],
  }),
};

/** Settings that still apply to a trained model: how data is read and predictions are made. */
export const inferenceSettings = { ...columnSettings, ...lengthSettings, ...predictionSettings };

/** The task, the model and the data. */
const task = {
  task: choice(taskNames, null, "the task: a recipe's name, or a task type for your own data", {
    aliases: ["task-name"],
    hint: "NAME",
  }),
  model: text(null, "the pretrained model: a folder, or a model on the hub", {
    aliases: ["model-name-or-path"],
    hint: "DIR|org/name",
  }),
  baseName: text(
    null,
    "the model's name on the hub, for the adapter's files, if --model is a folder",
    {
      pattern: /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/,
      want: "a name on the hub like org/name",
      hint: "org/name",
    },
  ),
  tokenizer: text(null, "the tokenizer's folder (default: the model's)", {
    aliases: ["tokenizer-name"],
    hint: "DIR",
  }),
  plugins: names("a model family: a TypeScript file, or a package; may be given several times", {
    flag: "plugin",
    hint: "FILE|PACKAGE",
  }),
  data: text(null, "a folder with the task's files, a training file, or a data set on the hub", {
    aliases: ["data-dir", "train-file"],
    hint: "PATH|org/name",
  }),
  evalData: text(null, "evaluation data, if --data is a file", {
    aliases: ["validation-file"],
    hint: "PATH",
  }),
  evalFraction: real(
    null,
    "share of the training rows to evaluate on instead, the same of each class; --seed chooses them",
    { above: 0, below: 1 },
  ),
  evalSeed: integer(null, "seed that chooses the rows of --eval-fraction (default: --seed)", {
    min: 0,
  }),
  tuneFraction: real(
    null,
    "share of the training rows to hold out for choosing settings: evaluated on instead of the evaluation data, which stay unseen",
    { above: 0, below: 1 },
  ),
  ...columnSettings,
  labels: list("class names in the order of their ids (default: the task's, or the data's)", {
    kinds: ["sequence"],
  }),
  limit: integer(null, "use only the first N rows of each split", { min: 1 }),
  trainLimit: integer(null, "train only on the first N rows (default: all)", {
    min: 1,
    aliases: ["max-train-samples"],
  }),
  maxLength: integer(
    128,
    "tokens per example; longer ones are truncated; questions 384, summaries 1024",
    {
      min: 2,
      aliases: ["max-seq-length", "max-source-length"],
    },
  ),
  ...lengthSettings,
};

/** The adapters: AdaLoRA's own options. */
const adapter = {
  method: choice(methods, "adalora", "the fine-tuning method: AdaLoRA, or a baseline of the paper"),
  from: text(
    null,
    "start from a trained adapter: a folder of PEFT's or of a run, or one on the hub (default: a new adapter)",
    { methods: adapterMethods, hint: "ADAPTER|org/name" },
  ),
  fromPruned: choice(
    ["kept", "revived"],
    null,
    "pruned triplets of --from: kept pruned, or revived with E = 0 (default: kept)",
    { methods: svdMethods },
  ),
  modules: list(
    "linear layers to adapt, by the model family's short names (default: all of them)",
    {
      methods: adapterMethods,
      aliases: ["lora-module", "target-modules"],
    },
  ),
  initRank: integer(
    null,
    "initial rank of every adapted matrix (default: derived from the target)",
    {
      min: 1,
      methods: adapterMethods,
      aliases: ["lora-r", "init-r", "rank"],
    },
  ),
  targetRank: real<number | null>(8, "average final rank", {
    above: 0,
    methods: pruningMethods,
    aliases: ["target-r"],
  }),
  targetTotalRank: integer(null, "sum of all final ranks, instead of --target-rank", {
    min: 1,
    methods: pruningMethods,
  }),
  budget: text(null, "final adapter size, 0.32M or 0.32%, instead of --target-rank", {
    ...share,
    methods: adapterMethods,
    hint: "N|N%",
  }),
  budgetUnit: choice(
    ["ranks", "parameters"],
    null,
    "what pruning counts: ranks, or the parameters of each triplet (default: parameters with --budget, except for the paper's own budgets)",
    { methods: pruningMethods },
  ),
  alpha: real(16, "increments are scaled by alpha / initial rank", {
    above: 0,
    methods: adapterMethods,
    aliases: ["lora-alpha"],
  }),
  initWarmup: stepCount("15%", "steps before the first pruning", {
    methods: pruningMethods,
    aliases: ["tinit"],
  }),
  finalWarmup: stepCount("40%", "steps after the last pruning", {
    methods: pruningMethods,
    aliases: ["tfinal"],
  }),
  maskInterval: integer(10, "steps between two prunings", {
    min: 1,
    methods: pruningMethods,
    aliases: ["delta-t"],
  }),
  beta1: real(0.85, "smoothing of the importance scores", ema),
  beta2: real(0.85, "smoothing of their uncertainty", ema),
  regOrthCoef: real(0.1, "weight of the orthogonality loss", {
    min: 0,
    methods: svdMethods,
    aliases: ["orth-reg-weight"],
  }),
  importance: choice(["ipt", "sensitivity", "magnitude"], "ipt", "how triplets are scored", {
    methods: pruningMethods,
  }),
  allocator: named(allocators, "which triplets are kept (default: adalora)", {
    methods: pruningMethods,
  }),
  start: named(
    starts,
    "first values of the adapters (default: the paper's for its tasks, lora for other data)",
    {
      methods: adapterMethods,
    },
  ),
  semantics: choice(
    ["reference", "peft"],
    "reference",
    "rules to follow where the authors' code and PEFT differ",
    {
      methods: ["adalora"],
    },
  ),
  loraDropout: real(0, "dropout on the adapters' input", { ...dropout, methods: adapterMethods }),
};

/** The optimization. */
const training = {
  lr: real(5e-4, "peak learning rate", { above: 0, aliases: ["learning-rate"] }),
  lrE: real(null, "peak learning rate of E alone (default: --lr)", {
    above: 0,
    methods: svdMethods,
  }),
  schedule: choice(scheduleNames, "linear", "learning-rate schedule", {
    aliases: ["lr-scheduler-type"],
  }),
  warmupSteps: integer<number | null>(0, "steps of learning-rate warm-up", {
    min: 0,
    aliases: ["num-warmup-steps"],
  }),
  warmupRatio: real(null, "warm-up as a fraction of all steps, instead of --warmup-steps", {
    min: 0,
    max: 1,
  }),
  epochs: real<number | null>(3, "passes over the training data", {
    above: 0,
    aliases: ["num-train-epochs"],
  }),
  maxSteps: integer(null, "optimizer steps, instead of --epochs", {
    min: 1,
    aliases: ["max-train-steps"],
  }),
  batchSize: integer(32, "examples per batch", {
    min: 1,
    aliases: ["per-device-train-batch-size", "train-batch-size"],
  }),
  gradAccum: integer(1, "batches per optimizer step", {
    min: 1,
    aliases: ["gradient-accumulation-steps"],
  }),
  microBatch: integer(
    null,
    "examples to compute at once: splits batches, for the same gradients in less memory (default: --batch-size)",
    { min: 1 },
  ),
  bucketed: toggle(true, "batch examples of similar length together", {
    aliases: ["group-by-length"],
  }),
  spanPadding: choice(
    ["auto", "zero", "uniform", "none"],
    "auto",
    "how padding counts in the span loss: zero (as in the paper's code), uniform (as in transformers 5) or none (left out); auto: zero for a pretrained model",
    ofSpans,
  ),
  labelSmoothing: real(0, "label smoothing of the token loss", {
    ...ofTexts,
    min: 0,
    below: 1,
    aliases: ["label-smoothing-factor"],
  }),
  weightDecay: real(0, "AdamW's weight decay, except for biases and norms", { min: 0 }),
  maxGradNorm: real(1, "norm that gradients are clipped to", { min: 0, off: true }),
  optimizer: choice(
    ["adamw", "adamw-hf"],
    "adamw",
    "torch's AdamW, or that of older transformers",
    {
      aliases: ["optim"],
    },
  ),
  adamBeta1: real(0.9, "AdamW's beta1", dropout),
  adamBeta2: real(0.999, "AdamW's beta2", dropout),
  adamEps: real(1e-8, "AdamW's epsilon", { above: 0, aliases: ["adam-epsilon"] }),
  clsDropout: real(null, "dropout before the classifier (default: the model's)", {
    ...dropout,
    kinds: ["sequence"],
  }),
  dropout: real(null, "hidden and attention dropout (default: the model's)", dropout),
  seed: integer(42, "seed of initial weights, data order and dropout", { min: 0 }),
};

/** Evaluation, checkpoints and logs. */
const evaluation = {
  evalSteps: integer(null, "steps between evaluations (default: one per epoch)", { min: 1 }),
  evalBatchSize: integer(32, "examples per evaluation batch", {
    min: 1,
    aliases: ["per-device-eval-batch-size"],
  }),
  evalLimit: integer(null, "evaluate only on the first N rows (default: all)", {
    min: 1,
    aliases: ["max-eval-samples"],
  }),
  ...predictionSettings,
  metric: text(null, "metric that selects the best evaluation (default: the task's)", {
    aliases: ["metric-for-best-model"],
    hint: "NAME",
  }),
  earlyStopping: integer(0, "stop after N evaluations without improvement", {
    min: 0,
    off: true,
    aliases: ["early-stopping-patience"],
  }),
  earlyStoppingFrom: choice(
    ["budget", "start"],
    "budget",
    "evaluations that --early-stopping counts: those from where the budget is reached, or all",
    { methods: pruningMethods },
  ),
  saveSteps: integer(500, "steps between checkpoints", { min: 1 }),
  saveLimit: integer(2, "checkpoints to keep", { min: 1, aliases: ["save-total-limit"] }),
  logSteps: integer(10, "steps between log lines", { min: 1, aliases: ["logging-steps"] }),
  out: text(null, "the run's folder (default: runs/TASK-TIME)", {
    aliases: ["output-dir", "root-output-dir"],
    hint: "DIR",
  }),
};

/** Device, dtype, threads, rounding and debugging. */
const machine = {
  device: text("auto", "the device to compute on", { hint: "NAME" }),
  dtype: choice(
    ["f32", "bf16", "auto"],
    "f32",
    "type of frozen weights and activations; auto: bf16 where the device supports it",
  ),
  checkpointing: toggle(false, "recompute activations in backward: less memory, more time", {
    aliases: ["gradient-checkpointing"],
  }),
  threads: integer(null, "CPU threads (default: one per core)", { min: 1 }),
  tf32: toggle(false, "multiply floats in TF32 on a GPU: faster, with mantissas of 10 bits"),
  debugSync: toggle(false, "wait for each GPU kernel, so that an error names its kernel: slow"),
};

/** Every option of a run, in help order. All options are defined in this file. */
export const settings = { ...task, ...adapter, ...training, ...evaluation, ...machine };

/** Sections of the help page. */
export const sections = {
  "Task and data": task,
  Adapter: adapter,
  Training: training,
  "Evaluation and saving": evaluation,
  Machine: machine,
};
