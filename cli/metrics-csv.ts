import { join } from "node:path";
import { writeFileAtomic } from "../core/io/atomic.ts";
import { runFiles } from "../core/run/run-folder.ts";
import { readLog, type RunLog, stepFields } from "./report-page/read-log.ts";

/**
 * Writes metrics.csv into a run's folder from its log: a row per step that has a record, with the
 * columns of log.jsonl, the triplets that a mask kept, and "SPLIT/METRIC" of each evaluation. A
 * cell without a value is empty. Throws E_FILE where the log cannot be read.
 */
export function writeMetricsCsv(out: string): void {
  const log = readLog(join(out, runFiles.log));
  writeFileAtomic(join(out, runFiles.csv), csvOf(log));
}

// --- internal ---

function csvOf({ curves, masks, evaluations }: RunLog): string {
  const rows = new Map<number, Map<string, number>>();
  const columns = new Set<string>();
  const set = (step: number, column: string, value: number) => {
    const row = rows.get(step) ?? new Map<string, number>();
    rows.set(step, row.set(column, value));
    columns.add(column);
  };
  for (const field of stepFields) {
    const { steps, values } = curves[field];
    for (const [i, step] of steps.entries()) set(step, field, values[i]!);
  }
  for (const { step, kept } of masks) set(step, "ranks_kept", kept);
  for (const { step, split, metrics } of evaluations) {
    for (const [name, value] of Object.entries(metrics)) set(step, `${split}/${name}`, value);
  }
  const names = [...columns];
  const lines = [...rows]
    .toSorted(([a], [b]) => a - b)
    .map(([step, row]) => [step, ...names.map((name) => row.get(name) ?? "")].join(","));
  return `${[["step", ...names.map(quoted)].join(","), ...lines].join("\n")}\n`;
}

/** A plugin may name a metric as it likes. */
const quoted = (name: string) => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
