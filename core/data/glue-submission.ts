import { invariant } from "../errors.ts";
import type { GlueTask } from "./glue-tasks.ts";

/**
 * The content of a file of a GLUE submission: a header, then each prediction after its row number.
 * predictions: class indices, or scores; scores are clamped to the task's range, as the server
 * rejects others.
 */
export function submissionText(task: GlueTask, predictions: ArrayLike<number>): string {
  const lines = Array.from(predictions, (value, i) => `${i}\t${formatPrediction(task, value)}\n`);
  return `index\tprediction\n${lines.join("")}`;
}

function formatPrediction(
  { name, submission, labelNames, scoreRange }: GlueTask,
  value: number,
): string {
  if (submission === "score") {
    const [low, high] = scoreRange ?? [-Infinity, Infinity];
    return Math.min(high, Math.max(low, value)).toFixed(3);
  }
  const label = labelNames?.[value];
  invariant(label !== undefined, `${name} has no class ${value}`);
  return submission === "name" ? label : String(value);
}
