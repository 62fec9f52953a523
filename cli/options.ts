import type { SettingName } from "../core/config/run-config.ts";
import { integers, toggle } from "../core/config/setting.ts";

/** Options of every command. */
export const commonOptions = {
  json: toggle(false, "print one JSON object on stdout; messages stay on stderr"),
  quiet: toggle(false, "print results, warnings and errors only"),
};

/** What most runs set: the flags of `--help` where a command has more, which `--help-all` shows. */
export const essentialSettings: readonly SettingName[] = [
  "task",
  "model",
  "data",
  "evalData",
  "textColumn",
  "pairColumn",
  "labelColumn",
  "maxLength",
  "method",
  "targetRank",
  "budget",
  "lr",
  "epochs",
  "maxSteps",
  "batchSize",
  "seed",
  "evalSteps",
  "metric",
  "out",
  "device",
  "dtype",
  "checkpointing",
];

/** Options of `run` and `plan` about the run's folder and its seeds. */
export const runOptions = {
  resume: toggle(false, "resume the run in --out from its newest intact checkpoint"),
  overwrite: toggle(false, "replace the run in --out", { aliases: ["overwrite-output-dir"] }),
  seeds: integers("run once per seed, in seed-N of --out, and report mean and standard deviation"),
};
