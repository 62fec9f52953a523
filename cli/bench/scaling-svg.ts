import type { Scaling } from "./scaling.ts";
import { TOLERANCE, verdict } from "./scaling-text.ts";
import { titleOf } from "./summary.ts";

const [WIDTH, HEIGHT] = [720, 440];
const frame = { left: 70, right: 24, top: 62, bottom: 56 };

/**
 * Draws a scaling measurement: seconds over tokens with ranges, and the linear cost with its
 * tolerance.
 */
export function scalingSvg(scaling: Scaling, dtype: string): string {
  const { points, secondsPerToken } = scaling;
  const most = niceCeiling(Math.max(...points.map(({ tokens }) => tokens)));
  const longest = niceCeiling(
    Math.max(
      ...points.map(({ seconds, tokens }) => Math.max(seconds.max, tokens * secondsPerToken)),
    ),
  );
  const x = (tokens: number) =>
    round(frame.left + ((WIDTH - frame.left - frame.right) * tokens) / most);
  const y = (seconds: number) =>
    round(HEIGHT - frame.bottom - ((HEIGHT - frame.top - frame.bottom) * seconds) / longest);
  const farthest = Math.max(...points.map(({ tokens }) => tokens));
  const at = (factor: number) => `${x(farthest)},${y(farthest * secondsPerToken * factor)}`;
  const origin = `${x(0)},${y(0)}`;
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    label(
      frame.left,
      26,
      `${titleOf(scaling)}, ${dtype}: step time by tokens per batch`,
      16,
      "start",
    ),
    label(frame.left, 46, verdict(scaling), 12, "start", "#57606a"),
    ...ticks(most).map((tokens) => verticalTick(x(tokens), tokens)),
    ...ticks(longest).map((seconds) => horizontalTick(y(seconds), seconds)),
    `<clipPath id="plot"><rect x="${frame.left}" y="${frame.top}" width="${WIDTH - frame.left - frame.right}" height="${HEIGHT - frame.top - frame.bottom}"/></clipPath>`,
    `<g clip-path="url(#plot)">`,
    `<polygon points="${origin} ${at(1 + TOLERANCE)} ${at(1 - TOLERANCE)}" fill="#dbeafe"/>`,
    `<polyline points="${origin} ${at(1)}" stroke="#2563eb" stroke-width="1.5" stroke-dasharray="6 4" fill="none"/>`,
    `</g>`,
    ...points.map(
      ({ tokens, seconds }) =>
        `<line x1="${x(tokens)}" x2="${x(tokens)}" y1="${y(seconds.min)}" y2="${y(seconds.max)}" stroke="#111827" stroke-width="1.5"/>` +
        `<circle cx="${x(tokens)}" cy="${y(seconds.median)}" r="4.5" fill="#dc2626"/>`,
    ),
    ...points
      .slice(1)
      .map(({ rows, tokens, seconds }) =>
        label(x(tokens) - 9, y(seconds.max) - 8, `${rows} rows`, 12, "end"),
      ),
    label((frame.left + WIDTH - frame.right) / 2, HEIGHT - 12, "tokens in the batch", 13, "middle"),
    `<g transform="translate(18 ${(frame.top + HEIGHT - frame.bottom) / 2}) rotate(-90)">${label(0, 0, "seconds per step", 13, "middle")}</g>`,
    legend(),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif">\n${parts.join("\n")}\n</svg>\n`;
}

// --- internal ---

const round = (value: number) => Math.round(value * 10) / 10;

type Anchor = "start" | "middle" | "end";

function label(x: number, y: number, text: string, size: number, anchor: Anchor, fill = "#111827") {
  return `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}" fill="${fill}">${text}</text>`;
}

const verticalTick = (x: number, tokens: number) =>
  `<line x1="${x}" x2="${x}" y1="${frame.top}" y2="${HEIGHT - frame.bottom}" stroke="#e5e7eb"/>` +
  label(x, HEIGHT - frame.bottom + 18, tokens.toLocaleString("en-US"), 12, "middle");

const horizontalTick = (y: number, seconds: number) =>
  `<line x1="${frame.left}" x2="${WIDTH - frame.right}" y1="${y}" y2="${y}" stroke="#e5e7eb"/>` +
  label(frame.left - 8, y + 4, String(seconds), 12, "end");

function legend(): string {
  const [left, top] = [WIDTH - frame.right - 190, HEIGHT - frame.bottom - 62];
  return [
    `<rect x="${left}" y="${top}" width="182" height="54" fill="#ffffff" stroke="#e5e7eb"/>`,
    `<circle cx="${left + 20}" cy="${top + 18}" r="4.5" fill="#dc2626"/>`,
    label(left + 40, top + 22, "median, with its range", 12, "start"),
    `<rect x="${left + 8}" y="${top + 32}" width="24" height="12" fill="#dbeafe"/>`,
    `<line x1="${left + 8}" x2="${left + 32}" y1="${top + 38}" y2="${top + 38}" stroke="#2563eb" stroke-width="1.5" stroke-dasharray="6 4"/>`,
    label(left + 40, top + 42, `linear cost, ± ${100 * TOLERANCE} %`, 12, "start"),
  ].join("");
}

/** The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 and 10 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((each) => each * power >= value) ?? 10;
  return step * power;
}

/** Five equal steps from 0 to the end of an axis. */
function ticks(end: number): number[] {
  return Array.from({ length: 6 }, (_, i) => Number(((end * i) / 5).toPrecision(4)));
}
