import { aligned } from "../aligned.ts";
import { printable } from "../printable.ts";
import { type Output, paint } from "../terminal.ts";
import type { ComparedArm, Comparison } from "./comparison.ts";
import {
  comparisonTitle,
  costCells,
  costColumns,
  differenceText,
  ratesText,
  scoreCells,
  scoreColumns,
  sizeText,
} from "./comparison-rows.ts";

/** A comparison as a page: scores, differences from the first arm, sizes and costs, failures. */
export function comparisonText(comparison: Comparison, out: string, output: Output): string {
  const { arms, failures } = comparison;
  const difference = differenceText(comparison);
  return [
    paint(output, "bold", comparisonTitle(comparison)),
    sizeText(comparison),
    tableOf(arms, scoreColumns, scoreCells, output),
    ...(difference === undefined ? [] : [printable(difference)]),
    tableOf(arms, costColumns, costCells, output),
    ...rateBlocks(arms),
    ...(failures.length > 0
      ? [failures.map(({ run, error }) => printable(`failed: ${run}: ${error}`)).join("\n")]
      : []),
    `files in ${printable(out)}`,
  ].join("\n\n");
}

// --- internal ---

function tableOf(
  arms: readonly ComparedArm[],
  columns: readonly string[],
  cells: (arm: ComparedArm) => readonly string[],
  output: Output,
): string {
  const body = arms.map((arm) => [printable(arm.name), ...cells(arm)]);
  const [header = "", ...rows] = aligned([["method", ...columns], ...body]);
  return [paint(output, "dim", header), ...rows].join("\n");
}

function rateBlocks(arms: readonly ComparedArm[]): string[] {
  const lines = arms.flatMap((arm) => {
    const rates = ratesText(arm);
    return rates === undefined ? [] : [`${printable(arm.name)}: ${rates}`];
  });
  if (lines.length === 0) return [];
  return [["learning rates, by rows held out of training", ...lines].join("\n")];
}
