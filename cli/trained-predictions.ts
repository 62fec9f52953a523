import type { Backend } from "../core/backend.ts";
import type { Model } from "../core/plugin.ts";
import { inTaskOrder } from "../core/train/class-order.ts";
import type { Dataset } from "../core/train/dataset.ts";
import { type Predictions, predict } from "../core/train/evaluate.ts";
import { loadTrained, type TrainedModel } from "../core/train/open-trained.ts";
import { type BackendWishes, openBackend } from "./backend.ts";
import type { Report } from "./report.ts";

/** A dataset, and what the model says of each of its rows, classes in the task's order. */
export interface Predicted {
  readonly dataset: Dataset;
  readonly predictions: Predictions;
}

/** Loads the model, once all data are known to be good, and runs it over each dataset. */
export async function predictAll(
  trained: TrainedModel,
  datasets: readonly Dataset[],
  options: BackendWishes & { readonly batchSize: number },
  report: Report,
): Promise<readonly Predicted[]> {
  for (const warning of datasets.flatMap(({ warnings }) => warnings)) report.warn(warning);
  const backend = await openBackend(options);
  const model = loadTrained(backend, trained);
  const all: Predicted[] = [];
  for (const dataset of datasets) {
    const rows = watched(dataset, options.batchSize, trained, report);
    all.push({ dataset, predictions: await predicted(backend, model, dataset, trained, rows) });
  }
  return all;
}

// --- internal ---

type Rows = Parameters<typeof predict>[3];

async function predicted(
  backend: Backend,
  model: Model,
  dataset: Dataset,
  { order }: TrainedModel,
  rows: Rows,
): Promise<Predictions> {
  return inTaskOrder(await predict(backend, model, dataset, rows), order);
}

function watched(
  { name, examples }: Dataset,
  batchSize: number,
  { spec }: TrainedModel,
  report: Report,
): Rows {
  return {
    width: spec.width,
    batchSize,
    onBatch: (done) => report.live(`${name}  ${done} of ${examples.length} rows`),
  };
}
