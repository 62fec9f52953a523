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
  ratesRule,
  ratesText,
  scoreCells,
  scoreColumns,
  sizeText,
} from "./comparison-rows.ts";
import { withInterval } from "./statistics.ts";

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
    const known = difference && withInterval(difference);
    return known ? [{ name, mean: known.mean, low: known.low, high: known.high }] : [];
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
        ...(note === undefined ? {} : { note: note.replaceAll("\n", " ") }),
      },
      {
        title: "Sizes and costs",
        of: "method",
        columns: costColumns,
        rows: arms.map((arm) => ({ name: arm.name, cells: costCells(arm) })),
        note: costNote(comparison),
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

/** What the columns of costs mean. */
function costNote({ arms }: Comparison): string {
  const cut = arms.filter(({ isCut }) => isCut).map(({ name }) => name);
  return [
    "scale: alpha / initial rank, by which increments are multiplied; time: mean of the runs, without those that picked rates; memory: largest peak of a run's process.",
    ...(cut.length > 0
      ? [
          `The curves below of ${cut.join(" and ")} are those before the cut; the scores are after it.`,
        ]
      : []),
  ].join(" ");
}

const rateTable = (comparison: Comparison) => ({
  title: "Learning rates",
  of: "method",
  columns: [ratesRule(comparison)],
  rows: comparison.arms.flatMap((arm) => {
    const rates = ratesText(arm);
    return rates === undefined ? [] : [{ name: arm.name, cells: [rates] }];
  }),
});
