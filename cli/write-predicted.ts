import { join } from "node:path";
import { predictionRecords, writePredictions } from "../core/train/run-files.ts";
import type { TrainedModel } from "../core/train/open-trained.ts";
import type { Predicted } from "./trained-predictions.ts";

/** Writes `predictions.jsonl`, or one file a split where there are several. Returns the paths. */
export function writePredicted(
  out: string,
  predicted: readonly Predicted[],
  { spec }: TrainedModel,
): string[] {
  return predicted.map(({ dataset, predictions }) => {
    const suffix = predicted.length > 1 ? `_${dataset.name}` : "";
    const path = join(out, `predictions${suffix}.jsonl`);
    writePredictions(path, predictionRecords(dataset, predictions, spec));
    return path;
  });
}
