import { writePredictions } from "../core/run/run-files.ts";
import { loadTrained, type TrainedModel } from "../core/run/open-trained.ts";
import type { PredictionSet, Predictions } from "../core/tasks/task.ts";
import { type DeviceOptions, openBackend } from "./backend.ts";
import type { Report } from "./report.ts";

/** A dataset, and what the model says of each of its rows. */
export interface SplitPredictions {
  readonly dataset: PredictionSet;
  readonly predictions: Predictions;
}

/** Loads the model, once all data are known to be good, and runs it over each dataset. */
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

/** Writes the predictions of one split, or of several under names with theirs. Returns the paths. */
export function writePredicted(out: string, predicted: readonly SplitPredictions[]): string[] {
  return predicted.flatMap(({ dataset: { name }, predictions }) =>
    writePredictions(out, predictions, predicted.length > 1 ? name : undefined),
  );
}
