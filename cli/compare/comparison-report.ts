import type { ArmsReport } from "../report-page/arms-page.ts";
import { differencesChart, scoresChart } from "../report-page/charts/arm-scores.ts";
import { failureNotes, problemText } from "../report-page/failure-notes.ts";
import { readRun } from "../report-page/read-run.ts";
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

/** What the report of a comparison shows; `folders`: those of an arm's finished runs. */
export function comparisonReport(
  comparison: Comparison,
  folders: (arm: ComparedArm) => readonly string[],
): ArmsReport {
  const { arms, failures, metric } = comparison;
  const hasRates = arms.some((arm) => ratesText(arm) !== undefined);
  const [first] = arms;
  const note = differenceText(comparison);
  const differences = arms.flatMap(({ name, difference }) => {
    const { mean, low, high } = difference ?? {};
    if (mean === undefined || (low ?? null) === null || (high ?? null) === null) return [];
    return [{ name, mean, low: low!, high: high! }];
  });
  const scores = arms.map(({ name, runs, spread }) => ({ name, values: runs, mean: spread?.mean }));
  return {
    title: comparisonTitle(comparison),
    about: sizeText(comparison),
    problem: problemText(failures),
    tables: [
      {
        title: "Scores",
        of: "method",
        columns: [...scoreColumns, ...(hasRates ? ["learning rate"] : [])],
        rows: arms.map((arm) => ({
          name: arm.name,
          about: arm.about,
          cells: [...scoreCells(arm, comparison), ...(hasRates ? [String(arm.lr ?? "-")] : [])],
        })),
        ...(note === undefined ? {} : { note }),
      },
      {
        title: "Sizes and costs",
        of: "method",
        columns: costColumns,
        rows: arms.map((arm) => ({ name: arm.name, cells: costCells(arm) })),
      },
      ...(hasRates ? [rateTable(comparison)] : []),
    ],
    charts: [
      scoresChart(metric, scores),
      ...(differences.length > 0 ? [differencesChart(metric, first?.name ?? "", differences)] : []),
    ],
    arms: arms.map((arm) => ({ name: arm.name, runs: folders(arm).map(readRun) })),
    notes: failureNotes(failures),
  };
}

// --- internal ---

const rateTable = (comparison: Comparison) => ({
  title: "Learning rates",
  of: "method",
  columns: [`picked by ${comparison.metric} on rows held out of training`],
  rows: comparison.arms.flatMap((arm) => {
    const rates = ratesText(arm);
    return rates === undefined ? [] : [{ name: arm.name, cells: [rates] }];
  }),
});
