import type { Scaling } from "./scaling.ts";
import { titleOf } from "./summary.ts";

/** Largest relative deviation that still counts as linear. */
export const TOLERANCE = 0.2;

const [COLUMNS, LINES] = [56, 14];

/** Formats the batch sizes as a table, and plots times over tokens against the linear cost. */
export function scalingText(scaling: Scaling): string {
  const rows = scaling.points.map(({ rows: size, tokens, seconds, secondsPerToken, ofLinear }) =>
    [
      String(size).padStart(6),
      String(tokens).padStart(8),
      seconds.median.toFixed(3).padStart(9),
      (secondsPerToken * 1000).toFixed(3).padStart(10),
      `${ofLinear.toFixed(2)}x`.padStart(11),
    ].join(""),
  );
  const head = `${"rows".padStart(6)}${"tokens".padStart(8)}${"s/step".padStart(9)}${"ms/token".padStart(10)}${"of linear".padStart(11)}`;
  return [
    `${titleOf(scaling)}: ${verdict(scaling)}`,
    [head, ...rows].join("\n"),
    plot(scaling),
  ].join("\n\n");
}

/** Says how far the worst size is from a linear cost. */
export function verdict({ points }: Scaling): string {
  const worst = Math.max(...points.map(({ ofLinear }) => Math.abs(ofLinear - 1)));
  const kept = worst <= TOLERANCE ? "within" : "NOT within";
  return `step time per token is ${kept} ${100 * TOLERANCE} % of linear (worst ${(100 * worst).toFixed(0)} %)`;
}

// --- internal ---

/** Seconds upwards, tokens to the right; "." is the linear cost, "o" what was measured. */
function plot({ points, secondsPerToken }: Scaling): string {
  const most = Math.max(...points.map(({ tokens }) => tokens));
  const longest = Math.max(most * secondsPerToken, ...points.map(({ seconds }) => seconds.median));
  const grid = Array.from({ length: LINES + 1 }, () =>
    Array.from({ length: COLUMNS + 1 }, () => " "),
  );
  const mark = (tokens: number, seconds: number, sign: string) => {
    const line = grid[LINES - Math.round((LINES * seconds) / longest)];
    if (line) line[Math.round((COLUMNS * tokens) / most)] = sign;
  };
  for (let i = 0; i <= COLUMNS; i++) {
    const tokens = (most * i) / COLUMNS;
    mark(tokens, tokens * secondsPerToken, ".");
  }
  for (const { tokens, seconds } of points) mark(tokens, seconds.median, "o");
  const lines = grid.map((line, i) => {
    const label = i === 0 ? `${longest.toFixed(2)} s` : i === LINES ? "0" : "";
    return `${label.padStart(9)} |${line.join("").trimEnd()}`;
  });
  const axis = `${" ".repeat(10)}+${"-".repeat(COLUMNS)}`;
  const ends = `${" ".repeat(11)}0${`${most} tokens`.padStart(COLUMNS - 1)}`;
  return [...lines, axis, ends].join("\n");
}
