import { isJsonObject } from "./json-file.ts";

/** Metrics by split, as JSON has them: a number that is not finite is null there, NaN here. */
export function metricsIn(value: unknown): Record<string, Record<string, number>> {
  const splits = Object.entries(isJsonObject(value) ? value : {});
  return Object.fromEntries(splits.map(([split, metrics]) => [split, numbersIn(metrics)]));
}

/** The numbers of a JSON object; null, or anything else, is NaN. */
export function numbersIn(value: unknown): Record<string, number> {
  const entries = Object.entries(isJsonObject(value) ? value : {});
  return Object.fromEntries(
    entries.map(([name, number]) => [name, typeof number === "number" ? number : Number.NaN]),
  );
}
