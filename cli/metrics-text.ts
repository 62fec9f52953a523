/** Metrics of some splits as aligned lines, the share of the most frequent class last. */
export function metricLines(
  metrics: Readonly<Record<string, Readonly<Record<string, number>>>>,
  majority: number | undefined,
): string[] {
  const lines = Object.entries(metrics).flatMap(([split, values]) =>
    Object.entries(values).map(([name, value]) =>
      metricLine(`${split} ${name}`, metricValue(name, value)),
    ),
  );
  if (majority === undefined) return lines;
  return [...lines, metricLine("always the most frequent class", majority.toFixed(4))];
}

/** A label and its value, aligned with the others. */
export const metricLine = (label: string, value: string) => `${label.padEnd(34)}${value}`;

// --- internal ---

/** Four digits; the official scripts' counts of questions are whole. */
function metricValue(name: string, value: number): string {
  return /(^|_)total$/.test(name) ? String(value) : value.toFixed(4);
}
