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
