import { AdaloraError } from "../core/errors.ts";
import { writeFileAtomic } from "../core/io/atomic.ts";
import { loadTrained, type TrainedModel } from "../core/run/open-trained.ts";
import { progressOfSplits } from "../core/train/evaluation.ts";
import type { Predictions } from "../core/tasks/task.ts";
import { createBatchReport } from "./batch-progress.ts";
import { writePredictions } from "../core/run/run-files.ts";
import { type DeviceOptions, openBackend } from "./backend.ts";
import { type PredictionRecord, predictionText, recordsOf } from "./prediction-text.ts";
import type { Report } from "./report.ts";
import { clearResults, type ResultsOut } from "./results-out.ts";
import type { LoadedSplit } from "./trained-data.ts";

/** A data set and the model's predictions for its rows. */
export interface SplitPredictions extends LoadedSplit {
  readonly predictions: Predictions;
}

type PredictionOptions = DeviceOptions & { readonly batchSize: number };

/** Loads the model, after all data have been checked, and runs it over each data set. */
export async function predictAll(
  trained: TrainedModel,
  splits: readonly LoadedSplit[],
  options: PredictionOptions,
  report: Report,
): Promise<readonly SplitPredictions[]> {
  for (const warning of splits.flatMap(({ dataset }) => dataset.warnings)) report.warn(warning);
  try {
    return await predictSplits(trained, splits, options, report);
  } catch (error) {
    throw withOwnHint(error);
  }
}

/** Every row's prediction, with its kept cells; with several splits also the split's name. */
export function allRecords(predicted: readonly SplitPredictions[]): readonly PredictionRecord[] {
  return predicted.flatMap(({ dataset, kept, predictions }) =>
    recordsOf(predictions.records, kept, predicted.length > 1 ? dataset.name : undefined),
  );
}

/**
 * Writes predictions to one file, or to a folder with the task's submission files; there, with
 * several splits, file names include the split's. Returns the paths.
 */
export function writePredicted(
  { path, format }: ResultsOut,
  predicted: readonly SplitPredictions[],
  report: Report,
): readonly string[] {
  if (format === undefined) {
    clearResults(path);
    return predicted.flatMap(({ dataset: { name }, kept, predictions }) => {
      const records = recordsOf(predictions.records, kept);
      const split = predicted.length > 1 ? name : undefined;
      return writePredictions(path, { records, files: predictions.files }, split);
    });
  }
  const { text, warnings } = predictionText(allRecords(predicted), format);
  for (const warning of warnings) report.warn(warning);
  writeFileAtomic(path, text);
  return [path];
}

// --- internal ---

async function predictSplits(
  trained: TrainedModel,
  splits: readonly LoadedSplit[],
  options: PredictionOptions,
  report: Report,
): Promise<readonly SplitPredictions[]> {
  report.stage("reading the weights");
  const backend = await openBackend(options);
  const model = loadTrained(backend, trained);
  const { order } = trained;
  const all: SplitPredictions[] = [];
  const batches = createBatchReport("predicting", report);
  const progressOf = progressOfSplits(splits.map(({ dataset }) => dataset));
  for (const split of splits) {
    const onBatch = (done: number) => batches.batch(progressOf(split.dataset, done));
    onBatch(0);
    const { batchSize } = options;
    const predictions = await split.dataset.predict(backend, model, { batchSize, order, onBatch });
    all.push({ ...split, predictions });
  }
  return all;
}

/** An error of training and prediction, with a hint that names flags of prediction alone. */
function withOwnHint(error: unknown): unknown {
  if (!(error instanceof AdaloraError) || error.code !== "E_MEMORY") return error;
  const hint = "reduce --batch-size or --max-length";
  return new AdaloraError(error.code, error.message, { hint, cause: error.cause });
}
