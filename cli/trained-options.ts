import { unusedOptionError } from "../core/config/run-config.ts";
import {
  choice,
  integer,
  list,
  type SettingTable,
  text,
  withoutDefaults,
} from "../core/config/setting.ts";
import { columns, lengths, predicting, settings } from "../core/config/settings.ts";
import { taskNames } from "../core/config/task-names.ts";
import type { FlagValue } from "./args.ts";
import { deviceSetting } from "./backend.ts";

/** How every command that uses a trained model is told which, and where it runs. */
export const trainedOptions = {
  adapter: text(null, "what a run trained: a PEFT adapter, or the run's folder", {
    hint: "DIR|org/name",
  }),
  model: text(null, "the adapter's base (default: the one it names), or a model trained whole", {
    also: ["model-name-or-path"],
    hint: "DIR|org/name",
  }),
  tokenizer: settings.tokenizer,
  task: choice(taskNames, null, "what the model was trained for (default: as the run's)", {
    also: ["task-name"],
    hint: "NAME",
  }),
  labels: list("the model's class names in the order of its numbers (default: as it says)", {
    kinds: ["sequence"],
  }),
  maxLength: integer(null, "tokens of an example; longer ones are cut (default: as the run's)", {
    min: 2,
    also: ["max-seq-length", "max-source-length"],
  }),
  ...withoutDefaults(lengths),
  ...withoutDefaults(predicting),
  limit: integer(null, "use the first N rows only", {
    min: 1,
    also: ["eval-limit", "max-eval-samples", "max-predict-samples"],
  }),
  batchSize: integer(32, "examples of a batch", {
    min: 1,
    also: ["eval-batch-size", "per-device-eval-batch-size"],
  }),
  device: deviceSetting(),
  dtype: settings.dtype,
  threads: settings.threads,
};

/** The columns of the texts, and that of what is to be predicted. */
export const { labelColumn, ...textColumns } = withoutDefaults(columns);

/** Throws E_CONFIG for an option that was given and that the model's task has no use for. */
export function checkTaskOptions(
  given: ReadonlyMap<string, FlagValue>,
  table: SettingTable,
  task: string,
): void {
  for (const [key, { flag }] of given) {
    const useless = table[key] && unusedOptionError(task, flag, table[key]);
    if (useless !== undefined) throw useless;
  }
}
