import { writePredictions } from "../core/run/run-files.ts";
import { loadTrained, type TrainedModel } from "../core/run/open-trained.ts";
import type { PredictionSet, Predictions } from "../core/tasks/task.ts";
import { type DeviceOptions, openBackend } from "./backend.ts";
import type { Report } from "./report.ts";

/** A data set and the model's predictions for its rows. */
export interface SplitPredictions {
  readonly dataset: PredictionSet;
  readonly predictions: Predictions;
}

/** Loads the model, after all data have been checked, and runs it over each data set. */
export async function predictAll(
  trained: TrainedModel,
  datasets: readonly PredictionSet[],
  options: DeviceOptions & { readonly batchSize: number },
  report: Report,
): Promise<readonly SplitPredictions[]> {
  for (const warning of datasets.flatMap(({ warnings }) => warnings)) report.warn(warning);
  const backend = await openBackend(options);
  const model = loadTrained(backend, trained);
  const { order } = trained;
  const all: SplitPredictions[] = [];
  for (const dataset of datasets) {
    const { name, lengths } = dataset;
    const onBatch = (done: number) => report.live(`${name}  ${done} of ${lengths.length}`);
    const { batchSize } = options;
    const predictions = await dataset.predict(backend, model, { batchSize, order, onBatch });
    all.push({ dataset, predictions });
  }
  return all;
}

/**
 * Writes predictions and returns the paths. With several splits, file names include the split's.
 */
export function writePredicted(out: string, predicted: readonly SplitPredictions[]): string[] {
  return predicted.flatMap(({ dataset: { name }, predictions }) =>
    writePredictions(out, predictions, predicted.length > 1 ? name : undefined),
  );
}
