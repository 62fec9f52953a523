import type { JsonObject } from "../../core/io/json-file.ts";

/** What the AdaLoRA paper (arXiv 2303.10512v2) reports for a run's setting. */
export interface PaperResult {
  /** "Table 1, AdaLoRA 0.32M, mean of 5 seeds". */
  readonly source: string;
  /** Values by the names of our metrics, on the scale of metrics.json, by split; "" for any split. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Rows of table 1 by method and average target rank: its columns in the paper's order. */
const glueRows: Readonly<Record<string, readonly string[]>> = {
  "adalora 2": [
    "AdaLoRA 0.32M",
    "90.66/90.70",
    "95.80",
    "70.04",
    "91.78/89.16",
    "94.49",
    "87.36",
    "90.44",
    "91.63",
  ],
  "adalora 8": [
    "AdaLoRA 1.27M",
    "90.76/90.79",
    "96.10",
    "71.45",
    "92.23/89.74",
    "94.55",
    "88.09",
    "90.69",
    "91.84",
  ],
  "lora 2": [
    "LoRA 0.33M",
    "90.30/90.38",
    "94.95",
    "68.71",
    "91.61/88.91",
    "94.03",
    "85.56",
    "89.71",
    "91.68",
  ],
  "lora 8": [
    "LoRA 1.33M",
    "90.65/90.69",
    "94.95",
    "69.82",
    "91.99/89.38",
    "93.87",
    "85.20",
    "89.95",
    "91.60",
  ],
};

/** Column of table 1, and the metrics of its numbers: "split metric", or a metric of any split. */
const glueColumns: Readonly<Record<string, readonly string[]>> = {
  mnli: ["validation_matched accuracy", "validation_mismatched accuracy"],
  sst2: ["accuracy"],
  cola: ["matthews_correlation"],
  qqp: ["accuracy", "f1"],
  qnli: ["accuracy"],
  rte: ["accuracy"],
  mrpc: ["accuracy"],
  stsb: ["combined_score"],
};

/** Table 2, exact match and F1 by method and average target rank. */
const squadRows: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  squad: {
    "adalora 1": "87.2/93.4",
    "adalora 2": "87.5/93.6",
    "adalora 4": "87.5/93.7",
    "adalora 8": "87.6/93.7",
    "lora 1": "86.4/92.8",
    "lora 2": "86.6/92.9",
    "lora 4": "86.7/93.1",
    "lora 8": "86.7/93.1",
  },
  squad_v2: {
    "adalora 1": "85.6/88.7",
    "adalora 2": "85.7/88.8",
    "adalora 4": "85.5/88.6",
    "adalora 8": "86.0/88.9",
    "lora 1": "84.7/87.5",
    "lora 2": "83.6/86.7",
    "lora 4": "84.5/87.4",
    "lora 8": "85.0/88.0",
  },
};

/** The learning rates of AdaLoRA's appendix C, and its coefficients of orthogonality. */
const adaloraSettings: Readonly<Record<string, { readonly lr: number; readonly orth: number }>> = {
  mnli: { lr: 5e-4, orth: 0.1 },
  rte: { lr: 1.2e-3, orth: 0.3 },
  qnli: { lr: 1.2e-3, orth: 0.1 },
  mrpc: { lr: 1e-3, orth: 0.1 },
  qqp: { lr: 5e-4, orth: 0.1 },
  sst2: { lr: 8e-4, orth: 0.1 },
  cola: { lr: 5e-4, orth: 0.5 },
  stsb: { lr: 2.2e-3, orth: 0.1 },
  squad: { lr: 1e-3, orth: 0.1 },
  squad_v2: { lr: 1e-3, orth: 0.1 },
};

/**
 * The paper's result for a run's task, method and average rank; undefined unless the model, the
 * adapted modules and, for AdaLoRA, learning rate and orthogonality are the paper's, or if the run
 * trains on a part of the data or for a set number of steps.
 */
export function paperResult(config: JsonObject): PaperResult | undefined {
  const { task, method, model, modules, targetRank, initRank, limit, maxSteps } = config;
  if (typeof task !== "string" || !/(^|[/\\])deberta-v3-base$/.test(String(model)))
    return undefined;
  if ((limit ?? null) !== null || (maxSteps ?? null) !== null) return undefined;
  if (!Array.isArray(modules) || modules.length !== 6) return undefined;
  const settings = adaloraSettings[task];
  const isPapers = config["lr"] === settings?.lr && config["regOrthCoef"] === settings?.orth;
  if (method === "adalora" && !isPapers) return undefined;
  const key = `${String(method)} ${String(method === "lora" ? initRank : targetRank)}`;
  const columns = glueColumns[task];
  if (columns) return glueResult(task, key, columns);
  const cell = squadRows[task]?.[key];
  if (cell === undefined) return undefined;
  const [exact = Number.NaN, f1 = Number.NaN] = cell.split("/").map(Number);
  return {
    source: `Table 2, ${key.replace(" ", ", average rank ")}`,
    metrics: { "": { exact_match: exact, exact, f1 } },
  };
}

// --- internal ---

function glueResult(
  task: string,
  key: string,
  columns: readonly string[],
): PaperResult | undefined {
  const [name, ...cells] = glueRows[key] ?? [];
  const cell = cells[Object.keys(glueColumns).indexOf(task)];
  if (cell === undefined) return undefined;
  const metrics: Record<string, Record<string, number>> = {};
  for (const [i, number] of cell.split("/").entries()) {
    const [metric = "", split = ""] = (columns[i] ?? "").split(" ").toReversed();
    // Percent, to the paper's two decimals.
    (metrics[split] ??= {})[metric] = Number((Number(number) / 100).toFixed(4));
  }
  return { source: `Table 1, ${name}, mean of 5 seeds`, metrics };
}
