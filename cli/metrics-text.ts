import type { Interval } from "../core/metrics/bootstrap.ts";
import type { SplitIntervals } from "../core/tasks/task.ts";

/** Metrics of some splits as aligned lines, with their intervals; the share of the most frequent class last. */
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

/** A label and its value, aligned with the others. */
export const metricLine = (label: string, value: string) => `${label.padEnd(34)}${value}`;

/** " (39.80-42.50)", or nothing without an interval. */
export const intervalText = (interval: Interval | undefined) =>
  interval ? ` (${interval.low.toFixed(2)}-${interval.high.toFixed(2)})` : "";

// --- internal ---

/** Four digits; the official scripts' counts of questions are whole. */
function metricValue(name: string, value: number): string {
  return /(^|_)total$/.test(name) ? String(value) : value.toFixed(4);
}
