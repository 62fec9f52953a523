import type { RunConfig } from "../config/run-config.ts";
import type { inferenceSettings } from "../config/settings.ts";

/** The settings that control how a task's data are read, trained on and predicted. */
export type TaskOptions = Pick<
  RunConfig,
  | keyof typeof inferenceSettings
  | "limit"
  | "evalLimit"
  | "trainLimit"
  | "evalFraction"
  | "tuneFraction"
  | "labels"
  | "spanPadding"
  | "labelSmoothing"
>;

/** The given columns and delimiter, without nulls, as readers of data take them. */
export function columnOptions({
  textColumn,
  pairColumn,
  labelColumn,
  delimiter,
}: Pick<TaskOptions, "textColumn" | "pairColumn" | "labelColumn" | "delimiter">) {
  return {
    ...(textColumn === null ? {} : { textColumn }),
    ...(pairColumn === null ? {} : { pairColumn }),
    ...(labelColumn === null ? {} : { labelColumn }),
    ...(delimiter === null ? {} : { delimiter }),
  };
}
