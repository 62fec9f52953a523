import type { Backend } from "../backend.ts";
import type { Model } from "../model/plugin.ts";
import type { Dataset, PredictionSet, SplitText } from "../tasks/task.ts";
import { trainingOrder } from "../train/order.ts";
import { createTrainer } from "./create-trainer.ts";
import type { PreparedRun } from "./prepare.ts";

/** How long a run takes, from a few measured steps and evaluation batches. Times in seconds. */
export interface TimeEstimate {
  /** Loading, all steps and all evaluations. */
  readonly seconds: number;
  /** Reading the weights and initializing the adapters. */
  readonly loadSeconds: number;
  /** An average step. */
  readonly stepSeconds: number;
  readonly steps: number;
  /** One evaluation of all validation splits. */
  readonly evaluationSeconds: number;
  readonly evaluations: number;
  /** Steps that were timed. */
  readonly measuredSteps: number;
}

/**
 * Loads a run, takes a few of its steps and predicts a batch of each validation split, then
 * extrapolates by tokens. Writes nothing; the loaded model is discarded.
 */
export async function estimateTime(backend: Backend, run: PreparedRun): Promise<TimeEstimate> {
  const start = performance.now();
  const { trainer, adapted } = await createTrainer(backend, run);
  const loadSeconds = secondsSince(start);
  const batches = stepsOf(run);
  const sampled = evenlySpaced(batches, MEASURED_STEPS);
  const takeStep = ({ features }: Step) =>
    secondsOf(() => trainer.step(features.map((one) => run.train.batch(one))));
  const largest = sampled.at(-1);
  if (largest) takeStep(largest); // a first step allocates memory and generates code
  const measured: { seconds: number; tokens: number }[] = [];
  for (const step of sampled) {
    if (secondsSince(start) - loadSeconds > MAX_SECONDS && measured.length > 0) break;
    measured.push({ seconds: takeStep(step), tokens: step.tokens });
  }
  const tokens = batches.reduce((sum, one) => sum + one.tokens, 0) / batches.length;
  const stepSeconds = perToken(measured) * tokens;
  const evaluationSeconds = await timeEvaluation(backend, run, adapted.model);
  const { steps } = run.schedule;
  const evaluations = evaluationsIn(run);
  return {
    seconds: loadSeconds + steps * stepSeconds + evaluations * evaluationSeconds,
    loadSeconds,
    stepSeconds,
    steps,
    evaluationSeconds,
    evaluations,
    measuredSteps: measured.length,
  };
}

/** Evaluations of a run: one every `evalSteps` steps, and one at the end. */
export function evaluationsIn({ config, schedule, validation }: PreparedRun): number {
  if (!validation.some(({ isLabelled }) => isLabelled)) return 0;
  const interval = config.evalSteps ?? schedule.stepsPerEpoch;
  return Math.floor((schedule.steps - 1) / interval) + 1;
}

// --- internal ---

const MEASURED_STEPS = 4;
/** No further step is measured after this many seconds. */
const MAX_SECONDS = 60;
/** An evaluation batch that took this many seconds is not repeated. */
const LONG_SECONDS = 5;
/** Steps of an epoch whose tokens are counted. */
const MAX_COUNTED_STEPS = 50_000;

interface Step {
  readonly features: readonly ArrayLike<number>[];
  readonly tokens: number;
}

const secondsSince = (start: number) => (performance.now() - start) / 1000;

function secondsOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return secondsSince(start);
}

const perToken = (measured: readonly { seconds: number; tokens: number }[]) =>
  measured.reduce((sum, { seconds }) => sum + seconds, 0) /
  measured.reduce((sum, { tokens }) => sum + tokens, 0);

/** The steps of the first epoch, by tokens. */
function stepsOf({ train, config, schedule }: PreparedRun): Step[] {
  const order = trainingOrder(train.lengths, config);
  const count = Math.min(schedule.steps, schedule.stepsPerEpoch, MAX_COUNTED_STEPS);
  const steps = Array.from({ length: count }, (_, step) => {
    const features = order(step);
    return { features, tokens: features.reduce((sum, one) => sum + tokensIn(train, one), 0) };
  });
  return steps.toSorted((a, b) => a.tokens - b.tokens);
}

const tokensIn = ({ lengths }: Dataset, features: ArrayLike<number>) =>
  Array.from(features).reduce((sum, i) => sum + lengths[i]!, 0);

/** Elements in the middle of equal parts of a list: small ones and large ones in fair shares. */
function evenlySpaced<T>(list: readonly T[], count: number): T[] {
  const parts = Math.min(count, list.length);
  return Array.from(
    { length: parts },
    (_, i) => list[Math.floor(((i + 0.5) * list.length) / parts)]!,
  );
}

/** Seconds to evaluate every labelled validation split, from one batch of each. */
async function timeEvaluation(backend: Backend, run: PreparedRun, model: Model): Promise<number> {
  let seconds = 0;
  for (const [i, dataset] of run.validation.entries()) {
    if (!dataset.isLabelled) continue;
    const sample = await sampleOf(run, dataset, run.validationTexts[i]);
    const { evalBatchSize: batchSize } = run.config;
    const once = async () => {
      const start = performance.now();
      await sample.predict(backend, model, { batchSize });
      return secondsSince(start);
    };
    const first = await once();
    // the first one allocates memory and generates code, which counts little in a long one
    const measured = first > LONG_SECONDS ? first : await once();
    seconds += measured * (total(dataset) / total(sample));
  }
  return seconds;
}

const total = ({ lengths }: Dataset) => lengths.reduce((sum, length) => sum + length, 0);

/** Rows of a split for about one batch, short and long ones; all if it can't be divided. */
async function sampleOf(
  { config, files }: PreparedRun,
  dataset: PredictionSet,
  text: SplitText | undefined,
): Promise<PredictionSet> {
  if (text?.parts === undefined || dataset.rows <= config.evalBatchSize) return dataset;
  const rows = Array.from({ length: dataset.rows }, (_, row) => row);
  const isByRow = dataset.lengths.length === dataset.rows;
  const sorted = isByRow
    ? rows.toSorted((a, b) => dataset.lengths[a]! - dataset.lengths[b]!)
    : rows;
  const part = text.parts.select(dataset.name, evenlySpaced(sorted, config.evalBatchSize));
  return part.forPrediction(files.tokenize);
}
