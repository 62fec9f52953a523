import { isAllFinite } from "../all-finite.ts";
import { errors } from "../errors.ts";

/**
 * Throws E_NOT_FINITE with the rows whose `values` contain NaN or Infinity. `name` maps a row's index
 * to what the message calls it, by default the index itself, as in predictions.jsonl.
 */
export function checkFiniteRows(
  { split, what }: { readonly split: string; readonly what: string },
  rows: number,
  valuesOf: (row: number) => ArrayLike<number>,
  name: (row: number) => string = String,
): void {
  const failing: string[] = [];
  for (let row = 0; row < rows; row++) if (!isAllFinite(valuesOf(row))) failing.push(name(row));
  if (failing.length > 0) throw errors.outputNotFinite({ split, what }, failing, rows);
}
