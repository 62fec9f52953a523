import { join } from "node:path";
import { isUsed, type RunConfig, settingNames } from "../core/train/config.ts";
import { settings } from "../core/train/settings.ts";
import { metricLine } from "./metrics-text.ts";
import type { Report } from "./report.ts";
import type { PlacedRun } from "./run-config.ts";
import type { Trained } from "./trained.ts";

/** The demo's own comparison: how far the frozen model gets when its head alone is trained, on the same data. */
export interface FrozenBaseline {
  readonly accuracy: number;
}

/** Steps are few: a head on a frozen model has learnt what it can by then. */
const HEAD_STEPS = 300;

/** Trains the head alone into `out/frozen`. Undefined where it was interrupted. */
export async function trainFrozen(
  config: PlacedRun,
  report: Report,
  train: (config: PlacedRun) => Promise<Trained>,
): Promise<FrozenBaseline | undefined> {
  report.info("first the frozen model with its head alone, to compare with");
  const head = withMethod(
    { ...config, maxSteps: HEAD_STEPS, lr: 2e-3, evalSteps: HEAD_STEPS },
    "head",
  );
  const { result } = await train({ ...head, out: join(config.out, "frozen") });
  const [metrics] = Object.values(result.metrics);
  const accuracy = metrics?.["accuracy"];
  report.info("now AdaLoRA");
  return result.stoppedBy === "interrupt" || accuracy === undefined ? undefined : { accuracy };
}

export function frozenLine({ accuracy }: FrozenBaseline): string {
  return metricLine("frozen model, its head alone", accuracy.toFixed(4));
}

/** The same run with another method: what that has no use for goes back to its default. */
function withMethod(config: RunConfig, method: RunConfig["method"]): RunConfig {
  const useless = settingNames.filter((name) => !isUsed(name, method));
  const defaults = Object.fromEntries(useless.map((name) => [name, settings[name].fallback]));
  return { ...config, ...defaults, method };
}
