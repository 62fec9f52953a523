import { join } from "node:path";
import { isUsedByMethod, type RunConfig, settingNames } from "../core/config/run-config.ts";
import { settings } from "../core/config/settings.ts";
import { metricLine } from "./metrics-text.ts";
import { FROZEN } from "./out-folder.ts";
import type { Report } from "./report.ts";
import type { PlacedRun } from "./run-config.ts";
import type { TrainedRun } from "./trained.ts";

/**
 * The demo's own comparison, into `out/frozen`: how far the frozen model gets when its head alone is trained, on the same data
 * for as many steps at the same rate. (Of 2e-3, 6e-3, 1e-2 and 2e-2, the demo's 6e-3 serves the head best, too.)
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

/** Of the validation split; undefined where none was evaluated. */
export function accuracyOf({ result }: TrainedRun): number | undefined {
  return Object.values(result.metrics)[0]?.["accuracy"];
}

export function frozenLine(accuracy: number): string {
  return metricLine("frozen model, head only", accuracy.toFixed(4));
}

/** The same run with another method: what that has no use for goes back to its default. */
function withMethod(config: RunConfig, method: RunConfig["method"]): RunConfig {
  const useless = settingNames.filter((name) => !isUsedByMethod(name, method));
  const defaults = Object.fromEntries(useless.map((name) => [name, settings[name].fallback]));
  return { ...config, ...defaults, method };
}
