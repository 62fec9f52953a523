import type { SettingName } from "../core/config/run-config.ts";
import { byteSizePattern } from "./byte-size.ts";
import { integer, integers, text, toggle } from "../core/config/setting.ts";

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

/** Options of `run` and `plan` about the run's folder, its seeds and the memory it may take. */
export const runOptions = {
  resume: toggle(false, "resume the run in --out from its newest intact checkpoint"),
  overwrite: toggle(false, "replace the run in --out", { aliases: ["overwrite-output-dir"] }),
  memory: text(
    null,
    "memory to stay within, such as 8G: chooses --micro-batch, --checkpointing and --eval-batch-size",
    { pattern: byteSizePattern, want: "a size like 8G or 500M", hint: "SIZE" },
  ),
  reportEvery: integer(1, "evaluations between rewrites of report.html in --out; 0: no report", {
    min: 0,
  }),
  seeds: integers("run once per seed, in seed-N of --out, and report mean and standard deviation"),
};
