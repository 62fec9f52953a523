import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Steps whose losses are compared: later ones amplify rounding. */
export const LOSSES = 3;

/** Losses by workload, as the CPU computes them in f32: see make-losses.ts. */
type Losses = Readonly<Record<string, readonly number[]>>;

/** The file of losses, of whole and of small workloads. */
export const lossesFile = join(import.meta.dir, "losses.json");

/**
 * How far losses may be from those of f32 on the CPU, relative to them: sums in another order, or 8
 * bits a value.
 */
const TOLERANCE = { f32: 1e-3, bf16: 5e-2 } as const;

/** The losses that a workload must have; undefined where none were written. */
export function expectedLosses(name: string, small: boolean): readonly number[] | undefined {
  const losses: Record<"small" | "whole", Losses> = JSON.parse(readFileSync(lossesFile, "utf8"));
  return losses[small ? "small" : "whole"][name];
}

/** Whether losses are those that are expected, as far as the dtype allows. */
export const areClose = (
  got: readonly number[],
  want: readonly number[],
  dtype: keyof typeof TOLERANCE,
): boolean =>
  got.length === want.length &&
  got.every((loss, i) => Math.abs(loss - want[i]!) <= TOLERANCE[dtype] * Math.abs(want[i]!));
