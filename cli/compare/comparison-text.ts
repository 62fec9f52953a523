import { aligned } from "../aligned.ts";
import { printable, printableLines } from "../printable.ts";
import { type Output, paint } from "../terminal.ts";
import type { ComparedArm, Comparison } from "./comparison.ts";
import {
  comparisonTitle,
  costCells,
  costColumns,
  differenceText,
  ratesText,
  ratesRule,
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
    printable(sizeText(comparison)),
    tableOf(arms, scoreColumns, (arm) => scoreCells(arm, comparison), output),
    ...(difference === undefined ? [] : [printableLines(difference)]),
    tableOf(arms, costColumns, costCells, output),
    ...rateBlocks(comparison),
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

function rateBlocks(comparison: Comparison): string[] {
  const lines = comparison.arms.flatMap((arm) => {
    const rates = ratesText(arm);
    return rates === undefined ? [] : [`${printable(arm.name)}: ${rates}`];
  });
  if (lines.length === 0) return [];
  return [[`learning rates, ${ratesRule(comparison)}`, ...lines].join("\n")];
}
