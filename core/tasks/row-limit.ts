import type { DataSplit } from "../data/examples.ts";
import type { TaskOptions } from "./task-options.ts";

/** How many rows of a split are read, the first ones: fewer of those that are not trained on; undefined: all. */
export function rowLimit(
  { role }: DataSplit,
  { limit, evalLimit }: Pick<TaskOptions, "limit" | "evalLimit">,
): number | undefined {
  const limits = [limit, role === "train" ? null : evalLimit].filter((one) => one !== null);
  return limits.length === 0 ? undefined : Math.min(...limits);
}
