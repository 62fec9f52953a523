import { unusedOptionError } from "../core/config/run-config.ts";
import {
  choice,
  integer,
  list,
  type Setting,
  type SettingTable,
  text,
  withoutDefaults,
} from "../core/config/setting.ts";
import {
  columnSettings,
  lengthSettings,
  predictionSettings,
  settings,
} from "../core/config/settings.ts";
import { taskNames } from "../core/config/task-names.ts";
import type { SplitRole } from "../core/data/glue-tasks.ts";
import { roleNamed } from "../core/data/splits.ts";
import { nearest } from "../core/nearest.ts";
import type { FlagValue } from "./args.ts";
import { deviceSetting } from "./backend.ts";

/** Options of every command that uses a trained model: which one, its inputs, and where it runs. */
export const trainedOptions = {
  adapter: text(null, "the trained adapter: a PEFT adapter, or a run's folder", {
    hint: "DIR|org/name",
  }),
  model: text(
    null,
    "the adapter's base model (default: the one it names), or a fully fine-tuned model",
    {
      aliases: ["model-name-or-path"],
      hint: "DIR|org/name",
    },
  ),
  which: choice(
    ["last", "best"],
    "last",
    "the weights of a run's folder: of its last step, or of its best evaluation",
  ),
  tokenizer: settings.tokenizer,
  plugins: withoutDefaults({ plugins: settings.plugins }).plugins,
  task: choice(taskNames, null, "the task of the model (default: the run's)", {
    aliases: ["task-name"],
    hint: "NAME",
  }),
  labels: list("class names in the order of the model's outputs (default: the model's)", {
    kinds: ["sequence"],
  }),
  maxLength: integer(null, "tokens per example; longer ones are truncated (default: the run's)", {
    min: 2,
    aliases: ["max-seq-length", "max-source-length"],
  }),
  ...withoutDefaults(lengthSettings),
  ...withoutDefaults(predictionSettings),
  limit: integer(null, "use only the first N rows", {
    min: 1,
    aliases: ["eval-limit", "max-eval-samples", "max-predict-samples"],
  }),
  batchSize: integer(32, "examples per batch", {
    min: 1,
    aliases: ["eval-batch-size", "per-device-eval-batch-size"],
  }),
  device: deviceSetting(),
  dtype: settings.dtype,
  threads: settings.threads,
  tf32: settings.tf32,
  debugSync: settings.debugSync,
};

/** `--split`; another usual name of a split ("dev") or a misspelled one is suggested. */
export function splitSetting(order: readonly [SplitRole, ...SplitRole[]], about: string) {
  const setting: Setting<SplitRole> = choice(order, order[0], about);
  return { ...setting, suggest: (raw: string) => roleNamed(raw) ?? nearest(raw, order) };
}

/** The columns of the texts, and of the label. */
export const { labelColumn, ...textColumns } = withoutDefaults(columnSettings);

/** Throws E_CONFIG for a given option that the model's task does not use. */
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
