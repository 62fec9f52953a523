import { join } from "node:path";
import { resolveConfig, type RunConfig } from "../../core/config/run-config.ts";
import { startingSettings } from "../../core/run/starting-adapter.ts";
import { localSources } from "./local-run.ts";

const root = join(import.meta.dir, "../fixtures/peft-continued");

/** The options of the runs that continue PEFT's adapters; test/oracle/peft_continued.py has the same. */
const common = {
  task: "rte",
  model: join(root, "base"),
  data: join(root, "data"),
  maxSteps: 14,
  batchSize: 6,
  lr: 0.01,
  warmupSteps: 3,
  weightDecay: 0.01,
  maxGradNorm: 0.5,
  dropout: 0,
  clsDropout: 0,
  seed: 9,
  evalSteps: 100,
} as const;

const pruning = {
  initWarmup: 2,
  finalWarmup: 4,
  maskInterval: 2,
  semantics: "peft",
} as const;

/** The runs by the name of PEFT's adapter, with what differs in each. */
export const continuedRuns = {
  lora: {},
  "lora-whole": {},
  adalora: { ...pruning, targetTotalRank: 12 },
  "adalora-masked": { ...pruning, targetTotalRank: 5 },
} as const;

/** The configuration of a run that continues one of PEFT's adapters. */
export async function continuedRun(name: keyof typeof continuedRuns): Promise<RunConfig> {
  const from = join(root, name);
  const { defaults, fixed } = await startingSettings(from, undefined, localSources);
  const layer = (values: Parameters<typeof resolveConfig>[0][number]["values"]) => ({
    values,
    name: (setting: string) => setting,
  });
  const own = { ...common, ...continuedRuns[name], from };
  return resolveConfig([layer(defaults), layer(fixed), layer(own)]);
}

/** A file beside PEFT's adapters. */
export const continuedPath = (...names: string[]) => join(root, ...names);
