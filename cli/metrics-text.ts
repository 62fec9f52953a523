import type { Interval } from "../core/metrics/bootstrap.ts";
import type { SplitIntervals } from "../core/tasks/task.ts";

/**
 * Formats metrics by split as aligned lines. `majorityShare`: the accuracy of always predicting the
 * most frequent class, which comes last.
 */
export function metricLines(
  metrics: Readonly<Record<string, Readonly<Record<string, number>>>>,
  majorityShare: number | undefined,
  intervals: SplitIntervals = {},
): string[] {
  const lines = Object.entries(metrics).flatMap(([split, values]) =>
    Object.entries(values).map(([name, value]) =>
      metricLine(
        `${split} ${name}`,
        metricValue(name, value) + intervalText(intervals[split]?.[name]),
      ),
    ),
  );
  if (majorityShare === undefined) return lines;
  return [...lines, metricLine("majority class", majorityShare.toFixed(4))];
}

/**
 * Formats a constant prediction's metrics, except the accuracy, which metricLines shows.
 * `isMajority`: it is the most frequent class; else the mean score.
 */
export function baselineLines(
  baseline: Readonly<Record<string, number>> | undefined,
  isMajority: boolean,
): string[] {
  const prediction = isMajority ? "majority class" : "mean score";
  return Object.entries(baseline ?? {})
    .filter(([name]) => name !== "accuracy")
    .map(([name, value]) => metricLine(`${prediction} ${name}`, metricValue(name, value)));
}

/** One line of metrics: a label and its value, aligned. */
export const metricLine = (label: string, value: string) => `${label.padEnd(33)} ${value}`;

/** " (39.80-42.50)", or nothing without an interval. */
export const intervalText = (interval: Interval | undefined) =>
  interval ? ` (${interval.low.toFixed(2)}-${interval.high.toFixed(2)})` : "";

// --- internal ---

/** Four decimals, or "undefined" for NaN; except for the official SQuAD scripts' counts of questions. */
function metricValue(name: string, value: number): string {
  if (Number.isNaN(value)) return "undefined";
  return /(^|_)total$/.test(name) ? String(value) : value.toFixed(4);
}
