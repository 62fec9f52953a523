import type { DebertaConfig } from "../../models/deberta/config.ts";
import type { Backend } from "../../core/backend.ts";
import { generate } from "../../core/generation/generate.ts";
import { generationOptions } from "../../core/generation/options.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import { isGenerationModel } from "../../core/model/plugin.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { generationLoss } from "../../core/tasks/generation-loss.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { answerSpanLoss } from "../../core/tasks/span-loss.ts";
import { adaptModel, declareModel } from "../../core/model/open-model.ts";
import { bart } from "../../plugins/bart/index.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { type BenchModel, fillModel } from "./checkpoints.ts";
import { bartFlops, debertaFlops, generationFlops } from "./needed-flops.ts";
import type { BenchRow } from "./rows.ts";
import { ADAPTERS, INITIAL_RANK, type StepOptions, trainingStep } from "./training-step.ts";
import type { Workload } from "./workloads.ts";

/** A loaded model and the work that is timed. */
export interface OpenWorkload {
  /**
   * Runs one batch; returns a loss, a logit or a shortest output length as evidence of the work.
   */
  readonly step: (rows: readonly BenchRow[]) => number | Promise<number>;
  /** Tokens that are counted: inputs and targets, or generated ones. */
  readonly tokens: (rows: readonly BenchRow[]) => number;
  /** Operations that the work needs, however an engine does it. */
  readonly neededFlops: (rows: readonly BenchRow[]) => number;
  /** Size of the vocabulary, for batches of random ids. */
  readonly vocabSize: number;
}

/** Loads a workload's model onto the backend. */
export function openWorkload(
  backend: Backend,
  workload: Workload,
  model: BenchModel,
  options: StepOptions,
): OpenWorkload {
  return openers[workload.kind](backend, model, options);
}

// --- internal ---

type Opener = (backend: Backend, model: BenchModel, options: StepOptions) => OpenWorkload;

const openers: Readonly<Record<Workload["kind"], Opener>> = {
  classify: openClassifier,
  answer: openAnswers,
  summarize: openSummarizer,
  predict: openPredictions,
  generate: openGeneration,
};

const lengthsOf = (rows: readonly BenchRow[]) => rows.map(({ ids }) => ids.length);

/** Tokens of inputs, and of targets if any. */
const tokensOf = (rows: readonly BenchRow[]) =>
  rows.reduce((sum, row) => sum + row.ids.length + targetLength(row), 0);

const targetLength = ({ target }: BenchRow) => target.filter((label) => label >= 0).length;

/** What the training workloads of an encoder share. */
const trainedEncoder = (config: DebertaConfig): Omit<OpenWorkload, "step"> => ({
  tokens: tokensOf,
  neededFlops: (rows) =>
    debertaFlops(lengthsOf(rows), config, { rank: INITIAL_RANK, training: true }),
  vocabSize: config.vocabSize,
});

function openClassifier(backend: Backend, model: BenchModel, options: StepOptions): OpenWorkload {
  const config = deberta.parseConfig(model.config);
  const declared = declareModel(deberta, config, { task: "classification", labels: 2 });
  const adapted = adaptModel(declared, ADAPTERS);
  fillModel(backend, adapted, model);
  const lossOf = sequenceLoss(adapted.model, "classification");
  const step = trainingStep(backend, adapted, lossOf, options);
  return {
    step: (rows) =>
      step({
        ...packSequences(rows.map(({ ids }) => ids)),
        labels: rows.map(({ label }) => label),
      }),
    ...trainedEncoder(config),
  };
}

/** The loss is that of transformers: padded positions take part in its softmax. */
function openAnswers(backend: Backend, model: BenchModel, options: StepOptions): OpenWorkload {
  const config = deberta.parseConfig(model.config);
  const head = { task: "span", labels: 2, paddedQueries: "uniform" } as const;
  const adapted = adaptModel(declareModel(deberta, config, head), ADAPTERS);
  fillModel(backend, adapted, model);
  const step = trainingStep(backend, adapted, answerSpanLoss(adapted.model), options);
  return {
    step: (rows) =>
      step({
        ...packSequences(rows.map(({ ids }) => ids)),
        starts: rows.map(({ span }) => span[0]),
        ends: rows.map(({ span }) => span[1]),
        padding: Int32Array.from(rows, ({ ids, width }) => width - ids.length),
      }),
    ...trainedEncoder(config),
  };
}

function openSummarizer(backend: Backend, model: BenchModel, options: StepOptions): OpenWorkload {
  const config = bart.parseConfig(model.config);
  const adapted = adaptModel(
    declareModel(bart, config, { task: "generation", labels: config.vocabSize }),
    ADAPTERS,
  );
  fillModel(backend, adapted, model);
  if (!isGenerationModel(adapted.model)) throw new Error("internal: bart generates");
  const lossOf = generationLoss(adapted.model, { smoothing: 0 });
  const step = trainingStep(backend, adapted, lossOf, options);
  return {
    step: (rows) =>
      step({
        ...packSequences(rows.map(({ ids }) => ids)),
        ...packTargets(
          rows.map(({ target }) => target),
          config.special,
        ),
      }),
    tokens: tokensOf,
    neededFlops: (rows) =>
      bartFlops(lengthsOf(rows), rows.map(targetLength), config, { rank: INITIAL_RANK }),
    vocabSize: config.vocabSize,
  };
}

/** The plain model, as it is after its adapters are merged. */
function openPredictions(backend: Backend, model: BenchModel): OpenWorkload {
  const config = deberta.parseConfig(model.config);
  const declared = declareModel(deberta, config, { task: "classification", labels: 2 });
  fillModel(backend, { ...declared, adapters: [], trained: [] }, model);
  return {
    step(rows) {
      const pass = new ForwardPass(backend, { training: false });
      let first = 0;
      pass.scope(() => {
        const logits = declared.model.forward(pass, packSequences(rows.map(({ ids }) => ids)));
        first = backend.download(logits.buffer)[0] ?? 0;
      });
      return first;
    },
    tokens: tokensOf,
    neededFlops: (rows) =>
      debertaFlops(lengthsOf(rows), config, { rank: INITIAL_RANK, training: false }),
    vocabSize: config.vocabSize,
  };
}

/** The authors' beam search, but of a fixed length: with random weights the end is arbitrary. */
const SEARCH = {
  numBeams: 4,
  maxLength: 60,
  minLength: 60,
  noRepeatNgramSize: 3,
  earlyStopping: true,
} as const;

/** The start token is not generated. */
const GENERATED_TOKENS = SEARCH.maxLength - 1;

/** The plain model generates a target for each source of a batch. */
function openGeneration(backend: Backend, model: BenchModel): OpenWorkload {
  const config = bart.parseConfig(model.config);
  const head = { task: "generation", labels: config.vocabSize } as const;
  const declared = declareModel(bart, config, head);
  fillModel(backend, { ...declared, adapters: [], trained: [] }, model);
  const generator = declared.model;
  if (!isGenerationModel(generator)) throw new Error("internal: bart generates");
  const options = generationOptions(model.config, undefined, SEARCH);
  return {
    async step(rows) {
      const sources = rows.map(({ ids }) => ids);
      const texts = await generate(backend, generator, sources, options, {
        batchSize: rows.length,
      });
      return Math.min(...texts.map(({ ids }) => ids.length));
    },
    tokens: (rows) => GENERATED_TOKENS * rows.length,
    neededFlops: (rows) =>
      generationFlops(lengthsOf(rows), config, {
        beams: SEARCH.numBeams,
        tokens: GENERATED_TOKENS,
      }),
    vocabSize: config.vocabSize,
  };
}
