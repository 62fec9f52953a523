import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import { metricsIn, numbersIn } from "../../core/io/json-numbers.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { readFinishedRun } from "../../core/run/finished-run.ts";
import { runFiles } from "../../core/run/run-folder.ts";
import type { ArmRun } from "./comparison.ts";
import { CUT_ADAPTER } from "./cut-adapter.ts";

/** Metrics of a cut adapter, in its run's folder. */
export const CUT_METRICS = "cut_metrics.json";

type Metrics = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Reads a finished run of an arm; `isCut`: what its cut adapter reached instead. */
export function readArmRun(out: string, seed: number, metric: string, isCut: boolean): ArmRun {
  const { metrics, seconds, peakMemory } = readFinishedRun(out);
  const path = join(out, CUT_METRICS);
  const cut = isCut ? readJsonObject(path) : undefined;
  const { seconds: cutSeconds = 0 } = numbersIn(cut);
  return {
    seed,
    value: metricIn(cut ? metricsIn(cut["metrics"]) : metrics, metric, cut ? path : out),
    parameters: savedParameters(join(out, isCut ? CUT_ADAPTER : runFiles.adapter)),
    seconds: seconds + cutSeconds,
    memory: peakMemory.process ?? peakMemory.buffers,
  };
}

/** A metric of the first split that was evaluated. Throws E_FILE where there is none. */
export function metricIn(metrics: Metrics, metric: string, where: string): number {
  const value = Object.values(metrics)[0]?.[metric];
  if (value !== undefined) return value;
  throw errors.file(where, `holds no ${metric}`, "give data to evaluate on");
}

// --- internal ---

/** Parameters of the adapters in a folder: A, B and, in AdaLoRA, E. */
function savedParameters(dir: string): number {
  const { modules } = readPeftAdapter(dir);
  const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  return modules.reduce(
    (sum, module) =>
      sum +
      size(module.A.shape) +
      size(module.B.shape) +
      ("E" in module ? size(module.E.shape) : 0),
    0,
  );
}
