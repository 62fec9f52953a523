import { join } from "node:path";
import { metricLine } from "./metrics-text.ts";
import { FROZEN } from "./out-folder.ts";
import type { Report } from "./report.ts";
import type { PlacedRun } from "./run-config.ts";
import type { TrainedRun } from "./trained.ts";
import { withMethod } from "./with-method.ts";

/**
 * Trains the demo's baseline into `out/frozen`: the frozen model with only its head trained, on the
 * same data, for as many steps and at the same learning rate. (Of 2e-3, 6e-3, 1e-2 and 2e-2, 6e-3
 * is also the best for the head.)
 */
export async function trainHead(
  config: PlacedRun,
  report: Report,
  train: (config: PlacedRun) => Promise<TrainedRun>,
): Promise<TrainedRun> {
  report.info("first the baseline: the frozen model, head only");
  const trained = await train({ ...withMethod(config, "head"), out: join(config.out, FROZEN) });
  if (trained.result.stoppedBy !== "interrupt") report.info("now AdaLoRA");
  return trained;
}

/** Accuracy on the validation split; undefined where it was not evaluated. */
export function accuracyOf({ result }: TrainedRun): number | undefined {
  return Object.values(result.metrics)[0]?.["accuracy"];
}

/** The baseline's line among the metrics of the demo. */
export function frozenLine(accuracy: number): string {
  return metricLine("frozen model, head only", accuracy.toFixed(4));
}
