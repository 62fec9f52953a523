import type { SettingName } from "../../core/config/run-config.ts";

/**
 * Settings of data, model and machine that all runs of an experiment share, so that they can be
 * compared.
 */
export const experimentSettings: readonly SettingName[] = [
  "task",
  "model",
  "tokenizer",
  "plugins",
  "data",
  "evalData",
  "textColumn",
  "pairColumn",
  "labelColumn",
  "delimiter",
  "labels",
  "limit",
  "evalLimit",
  "evalFraction",
  "evalSeed",
  "tuneFraction",
  "from",
  "metric",
  "seed",
  "out",
  "device",
  "threads",
  "tf32",
  "debugSync",
];
