import { aligned } from "./aligned.ts";
import type { ClassReport } from "../core/metrics/class-report.ts";
import type { SplitClasses } from "../core/tasks/task.ts";
import { type Output, paint } from "./terminal.ts";

/** More classes than this are in metrics.json only. */
const MAX_CLASSES = 20;
/** With more classes than this the confusion matrix is in metrics.json only. */
const MAX_CONFUSED = 4;
const MAX_NAME = 16;

/**
 * Formats the scores of each class of the first split, and beside them how many of its rows were
 * predicted as each class. Undefined without classes, or with too many for a table.
 */
export function classTable(bySplit: SplitClasses | undefined, output: Output): string | undefined {
  const [report] = Object.values(bySplit ?? {});
  if (!report || report.classes.length > MAX_CLASSES) return undefined;
  const [header = "", ...rows] = aligned(cellsOf(report));
  return [paint(output, "dim", header), ...rows].join("\n");
}

// --- internal ---

function cellsOf({ classes, confusion }: ClassReport): string[][] {
  const isMatrixShown = classes.length <= MAX_CONFUSED;
  const matrix = (cells: readonly string[]) => (isMatrixShown ? cells : []);
  const header = ["class", "precision", "recall", "f1", "rows"];
  const rows = classes.map(({ label, precision, recall, f1, support }, c) => [
    `${c + 1} ${cut(label)}`,
    ...[precision, recall, f1].map((value) => value.toFixed(4)),
    String(support),
    ...matrix((confusion[c] ?? []).map(String)),
  ]);
  return [[...header, ...matrix(classes.map((_, c) => `as ${c + 1}`))], ...rows];
}

const cut = (name: string) => (name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 1)}…` : name);
