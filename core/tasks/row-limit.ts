import type { DataSplit } from "../data/examples.ts";
import type { TaskOptions } from "./task-options.ts";

/**
 * How many leading rows of a split are read: --limit, and --eval-limit outside training; undefined:
 * all.
 */
export function rowLimit(
  { role }: DataSplit,
  { limit, evalLimit }: Pick<TaskOptions, "limit" | "evalLimit">,
): number | undefined {
  const limits = [limit, role === "train" ? null : evalLimit].filter((one) => one !== null);
  return limits.length === 0 ? undefined : Math.min(...limits);
}
