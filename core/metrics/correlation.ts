import { errors } from "../errors.ts";
import { checkSameLength, type Values } from "./classification.ts";

/**
 * Pearson correlation, as scipy's `pearsonr`: NaN if either side is constant or contains NaN.
 * Throws E_METRIC for fewer than 2 points.
 */
export function pearson(a: Values, b: Values): number {
  checkSameLength("pearson", a, b);
  if (a.length < 2) throw errors.metric("pearson", `needs at least 2 examples, got ${a.length}`);
  if (isConstant(a) || isConstant(b)) return Number.NaN;
  const x = unitVector(a);
  const y = unitVector(b);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return Math.max(-1, Math.min(1, sum));
}

/**
 * Spearman correlation, as scipy's `spearmanr`: Pearson of average ranks; NaN also for fewer than 2
 * points.
 */
export function spearman(a: Values, b: Values): number {
  checkSameLength("spearmanr", a, b);
  if (a.length < 2 || hasNaN(a) || hasNaN(b)) return Number.NaN;
  return pearson(averageRanks(a), averageRanks(b));
}

/** Ranks from 1 to n; ties get the mean of their ranks. */
export function averageRanks(values: Values): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((i, j) => values[i]! - values[j]!);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + end + 1) / 2;
    start = end;
  }
  return ranks;
}

/** Whether all values are equal, which leaves every correlation undefined. */
export function isConstant(values: Values): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return !Number.isNaN(values[0]);
}

/**
 * Whether the spread is so small relative to the mean that rounding dominates the correlation:
 * scipy's rule, ||v - mean|| < eps^0.75 |mean|.
 */
export function isNearlyConstant(values: Values): boolean {
  const { mean, norm } = centred(values);
  return norm < 2 ** -39 * Math.abs(mean);
}

/** Whether a value is NaN. */
export function hasNaN(values: Values): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true;
  return false;
}

// --- internal ---

function unitVector(values: Values): Float64Array {
  const { deviations, norm } = centred(values);
  return deviations.map((d) => d / norm);
}

/**
 * Deviations from the mean, and their norm, computed relative to the largest so that 1e200 does not
 * overflow.
 */
function centred(values: Values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const mean = sum / values.length;
  const deviations = Float64Array.from(values, (value) => value - mean);
  let largest = 0;
  for (const d of deviations) largest = Math.max(largest, Math.abs(d));
  let squares = 0;
  for (const d of deviations) squares += (d / largest) ** 2;
  return { mean, deviations, norm: largest === 0 ? 0 : largest * Math.sqrt(squares) };
}
