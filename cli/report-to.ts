import { text } from "../core/config/setting.ts";

/** `--report-to`, also of transformers' scripts: where a run's values go besides its own files. */
export const reportTo = text(
  null,
  "csv: also write metrics.csv in --out; TensorBoard files are always written",
  { hint: "csv|tensorboard", pattern: /^/ },
);

/** Values that `--report-to` accepts; all and none are those of the scripts. */
export const reportToWords: readonly string[] = [
  "csv",
  "tensorboard",
  "csv,tensorboard",
  "tensorboard,csv",
  "all",
  "none",
];

/** Whether `--report-to` requests metrics.csv. */
export const wantsCsv = (value: unknown): boolean =>
  typeof value === "string" && value.split(",").includes("csv");

/** Which file a tool imports that `--report-to` cannot reach; undefined for unknown tools. */
export function importHint(value: unknown): string | undefined {
  const tools = String(value)
    .toLowerCase()
    .split(/[\s,]+/);
  return tools.map((tool) => imports[tool]).find((hint) => hint !== undefined);
}

// --- internal ---

/** By docs.wandb.ai (integrations/tensorboard), Trackio's imports.py and mlflow.log_metrics. */
const imports: Readonly<Record<string, string | undefined>> = {
  wandb: "W&B imports the run's TensorBoard files: wandb sync OUT/tensorboard",
  trackio:
    "Trackio imports metrics.csv, which --report-to csv writes (trackio.import_csv), or OUT/tensorboard (trackio.import_tf_events)",
  mlflow:
    "--report-to csv writes metrics.csv: mlflow.log_metrics takes the values of each row with its step",
};
