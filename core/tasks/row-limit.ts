import type { DataSplit } from "../data/examples.ts";
import type { TaskOptions } from "./task-options.ts";
import type { SplitText } from "./task.ts";

type Limits = Pick<
  TaskOptions,
  "limit" | "evalLimit" | "trainLimit" | "evalFraction" | "tuneFraction"
>;

/**
 * How many leading rows of a split are read: --limit, and --train-limit or --eval-limit by its
 * role; undefined: all. Rows that are divided into parts are limited after that.
 */
export function rowLimit(
  { role, rows }: DataSplit,
  { limit, evalLimit, trainLimit, evalFraction, tuneFraction }: Limits,
): number | undefined {
  if (rows !== undefined) return undefined;
  const ofTraining = evalFraction === null && tuneFraction === null ? trainLimit : null;
  return least(limit, role === "train" ? ofTraining : evalLimit);
}

/** The rows that the split names, if it is a part of its files. */
export function chosenRows(
  text: SplitText,
  { rows }: DataSplit,
  { limit }: Pick<Limits, "limit">,
): SplitText {
  if (rows === undefined || text.parts === undefined) return text;
  return text.parts.select(text.name, rows.slice(0, limit ?? undefined));
}

// --- internal ---

function least(...limits: readonly (number | null)[]): number | undefined {
  const given = limits.filter((one) => one !== null);
  return given.length === 0 ? undefined : Math.min(...given);
}
