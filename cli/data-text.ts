import type { ClassCount } from "../core/data/class-names.ts";
import type { LengthStats } from "../core/data/length-stats.ts";
import type {
  DataOverview,
  LengthOverview,
  SampleText,
  SplitOverview,
} from "../core/run/overview.ts";

/** A line of a page: its label and its text. */
export type PageRow = readonly [label: string, text: string];

/** The rows of a page about a run's data; `heldOut`: whether it is evaluated on training rows. */
export function dataRows({ splits }: DataOverview, heldOut: boolean): PageRow[] {
  const [train, ...validation] = splits;
  if (train === undefined) return [];
  return [
    ...(train.classes ? ([["classes", classesText(train.classes)]] as const) : []),
    ...validation.map((split) => ["validation", validationText(split, heldOut)] as const),
    ...train.lengths.map((length, i) => ["tokens", lengthText(length, i, splits)] as const),
  ];
}

/** Classes with their rows, the largest ones first if there are many. */
export function classesText(classes: readonly ClassCount[]): string {
  const isShort = classes.length <= MAX_CLASSES;
  const sorted = isShort ? classes : classes.toSorted((a, b) => b.rows - a.rows);
  const shown = sorted.slice(0, MAX_CLASSES).map(({ name, rows }) => `${name} ${count(rows)}`);
  const rest = sorted.slice(MAX_CLASSES);
  const least = rest.at(-1);
  const more = least ? [`${count(rest.length)} more classes down to ${count(least.rows)}`] : [];
  return [...shown, ...more].join(", ");
}

/** "median 64, 95% up to 186, longest 289". */
export function statsText({ median, p95, max }: LengthStats): string {
  return `median ${count(median)}, 95% up to ${count(p95)}, longest ${count(max)}`;
}

/** A sample in one line, its middle left out if it is long. */
export function sampleText({ text, label }: SampleText): string {
  const answer = label === undefined ? "" : ` → ${abbreviated(label, 120)}`;
  return abbreviated(text, 240) + answer;
}

/** Rows, with a plural: "1 row", "2,490 rows". */
export const rowsText = (rows: number) => `${count(rows)} row${rows === 1 ? "" : "s"}`;

// --- internal ---

const MAX_CLASSES = 10;
const count = (n: number) => n.toLocaleString("en-US");

function validationText({ name, rows, classes }: SplitOverview, heldOut: boolean): string {
  const named = name === "validation" ? "" : `${name}: `;
  const origin = heldOut ? ", held out of the training data" : "";
  return `${named}${rowsText(rows)}${origin}${classes ? `: ${classesText(classes)}` : ""}`;
}

/** Length `i` of the training split, and what is too long in every split. */
function lengthText(length: LengthOverview, i: number, splits: readonly SplitOverview[]): string {
  const { of, flag, limit } = length;
  const parts = splits.flatMap(({ name, rows, lengths }) => {
    const tooLong = lengths[i]?.tooLong ?? 0;
    const share = ` (${((100 * tooLong) / rows).toFixed(1)}%)`;
    return tooLong === 0 ? [] : [`${count(tooLong)} of ${count(rows)} in ${name}${share}`];
  });
  const verb = of === "window" ? "splits" : "cuts";
  const what = parts.length === 0 ? "none" : parts.join(", ");
  const stats = statsText(length);
  const subject = { text: "", summary: "summaries: ", window: "windows: " }[of];
  return `${subject}${stats}; --${flag} ${limit} ${verb} ${what}`;
}

/** At most `length` characters: the start and the end. */
function abbreviated(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  if (line.length <= length) return line;
  const tail = Math.floor(length / 4);
  return `${line.slice(0, length - tail - 3).trimEnd()} … ${line.slice(-tail).trimStart()}`;
}
