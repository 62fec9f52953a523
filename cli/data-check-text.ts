import type { RepeatedRow } from "../core/data/repeated-rows.ts";
import type { DataCheck, LocatedClass, Problem, SplitCheck } from "../core/tasks/check-data.ts";
import { classesText, type PageRow, rowsText, statsText } from "./data-text.ts";
import { printable } from "./printable.ts";
import { paint, type Output } from "./terminal.ts";
import { labelled, pageWidth, wrapped } from "./wrap.ts";

/** Rows and files that can't be used. */
export const unusableRows = ({ splits }: DataCheck): number =>
  splits.reduce((sum, { problems }) => sum + problems.length, 0);

/**
 * A check of data as a page: splits, then what is wrong, then a verdict. `path`: as the user named
 * it; `folder`: where its files are, which is left out of their paths.
 */
export function checkText(
  check: DataCheck,
  { path, folder }: { readonly path: string; readonly folder: string },
  output: Output,
): string {
  const width = pageWidth(output);
  const page: Page = { output, width, below: (text) => text.replaceAll(`${folder}/`, "") };
  const blocks = [
    paint(output, "bold", printable(`${path}: ${check.task}`)),
    ...check.splits.map((split) => splitBlock(split, page)),
    ...check.splits.flatMap((split) => problemsBlock(split, page)),
    ...repeatedBlocks(check, page),
    check.warnings.map((text) => marked("warn", "yellow", text, page)).join("\n"),
    verdict(check),
  ];
  return blocks.filter((block) => block !== "").join("\n\n");
}

// --- internal ---

interface Page {
  readonly output: Output;
  readonly width: number;
  /** Leaves the data's folder out of paths. */
  readonly below: (text: string) => string;
}

/** Repeated rows that are listed; --json has all. */
const MAX_REPEATED = 10;
/** Locations of one text that are listed. */
const MAX_LOCATIONS = 5;
/** Rare classes whose first rows are shown. */
const MAX_RARE = 10;
const labelWidth = 14;
const count = (n: number) => n.toLocaleString("en-US");

function splitBlock(split: SplitCheck, { width, below }: Page): string {
  const rows = splitRows(split).map(([label, text]) =>
    labelled(label, below(text), { indent: labelWidth, width }),
  );
  return rows.join("\n");
}

function splitRows({ name, role, files, rows, classes, sizes }: SplitCheck): PageRow[] {
  return [
    [name.length < labelWidth ? name : "split", splitText(name, rows, files)],
    ...(classes
      ? [["classes", classesText(classes) + (role === "train" ? rareText(classes) : "")] as const]
      : []),
    ...sizes.map(
      ({ of, characters, words }) =>
        [of, `characters: ${statsText(characters)}; words: ${statsText(words)}`] as const,
    ),
  ];
}

function splitText(name: string, rows: number, files: readonly string[]): string {
  const title = name.length < labelWidth ? "" : `${name}: `;
  const [first = ""] = files;
  const where = files.length === 1 ? first : `${first} and ${count(files.length - 1)} more`;
  return `${title}${rowsText(rows)} in ${where}`;
}

/** Where classes of one or two rows begin: they may be typos. */
function rareText(classes: readonly LocatedClass[]): string {
  const rare = classes.filter(({ rows, first }) => rows < 3 && first !== undefined);
  const places = rare.slice(0, MAX_RARE).map(({ name, first }) => `${name} at ${first}`);
  return places.length === 0 ? "" : ` (${places.join(", ")})`;
}

function problemsBlock({ name, problems }: SplitCheck, page: Page): string[] {
  if (problems.length === 0) return [];
  const title = `${name}: ${count(problems.length)} of its rows can't be used`;
  const lines = problems.map((problem, i) => problemText(problem, problems[i - 1], page));
  return [[printable(title), ...lines].join("\n")];
}

/** A hint that the problem above has too is not repeated. */
function problemText({ where, rule, hint }: Problem, before: Problem | undefined, page: Page) {
  const isNew = hint !== undefined && hint !== before?.hint;
  return marked("error", "red", `${where}: ${rule}${isNew ? ` (${hint})` : ""}`, page);
}

function repeatedBlocks({ splits, shared }: DataCheck, page: Page): string[] {
  return [
    ...splits.flatMap(({ name, duplicates }) =>
      repeatedBlock(`in ${name} more than once`, duplicates, page),
    ),
    ...shared.flatMap(({ splits: [first, second], rows }) =>
      repeatedBlock(`in both ${first} and ${second}`, rows, page),
    ),
  ];
}

function repeatedBlock(
  where: string,
  rows: readonly RepeatedRow[],
  { width, below }: Page,
): string[] {
  if (rows.length === 0) return [];
  const others = rows.filter(({ hasOtherLabel }) => hasOtherLabel).length;
  const conflict = others === 0 ? "" : `, ${count(others)} with different labels`;
  const stand = rows.length === 1 ? "1 text stands" : `${count(rows.length)} texts stand`;
  // different labels are the worse mistake: first
  const sorted = rows.toSorted((a, b) => Number(b.hasOtherLabel) - Number(a.hasOtherLabel));
  const lines = sorted
    .slice(0, MAX_REPEATED)
    .map((row) => labelled("", below(repeatedText(row)), { indent: 2, width }));
  const rest = rows.length - lines.length;
  const more = rest > 0 ? [`  and ${count(rest)} more: --json lists them`] : [];
  const title = wrapped(printable(`${stand} ${where}${conflict}`), width);
  return [[...title, ...lines, ...more].join("\n")];
}

function repeatedText({ locations, hasOtherLabel }: RepeatedRow): string {
  const rest = locations.length - MAX_LOCATIONS;
  const more = rest > 0 ? ` and ${count(rest)} more` : "";
  const shown = locations.slice(0, MAX_LOCATIONS).join(" = ");
  return `${shown}${more}${hasOtherLabel ? " (different labels)" : ""}`;
}

function marked(
  label: string,
  colour: "red" | "yellow",
  text: string,
  { output, width, below }: Page,
): string {
  const indent = label.length + 2;
  const lines = labelled(label, below(text), { indent, width });
  return paint(output, colour, label) + lines.slice(label.length);
}

function verdict(check: DataCheck): string {
  const bad = unusableRows(check);
  const good = check.splits.reduce((sum, { rows }) => sum + rows, 0);
  return bad === 0
    ? `${rowsText(good)} can be used`
    : `${rowsText(good)} can be used, ${count(bad)} can't: a run would stop at the first`;
}
