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

/** What to do instead of an option that is refused. */
export interface Instead {
  readonly hint: string;
  /** Lines to print above the hint. */
  readonly details?: readonly string[];
}

/** Which file a tool imports that `--report-to` cannot reach; undefined for unknown tools. */
export function importHint(value: unknown): Instead | undefined {
  const tools = String(value)
    .toLowerCase()
    .split(/[\s,]+/);
  return tools.map((tool) => imports[tool]).find((hint) => hint !== undefined);
}

/** What logs metrics.csv to MLflow. */
export const mlflowImport: readonly string[] = [
  "import csv, mlflow",
  'for row in csv.DictReader(open("OUT/metrics.csv")):',
  '    mlflow.log_metrics({k: float(v) for k, v in row.items() if v}, step=int(row["step"]))',
];

// --- internal ---

/** By docs.wandb.ai (integrations/tensorboard), Trackio's imports.py and MLflow 3.17's FileStore. */
const imports: Readonly<Record<string, Instead | undefined>> = {
  wandb: { hint: "W&B imports the run's TensorBoard files: wandb sync OUT/tensorboard" },
  trackio: {
    hint: "Trackio imports metrics.csv, which --report-to csv writes (trackio.import_csv), or OUT/tensorboard (trackio.import_tf_events)",
  },
  mlflow: {
    hint: "--report-to csv writes metrics.csv, which the three lines of Python above log. MLflow 3.17 refuses to read runs from files, and only its own Python writes its databases",
    details: mlflowImport,
  },
};
