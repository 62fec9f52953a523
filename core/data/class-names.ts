import { excerpt } from "../excerpt.ts";
import { editDistance } from "../nearest.ts";
import { quoted } from "./table.ts";

/** A class and the number of its rows. */
export interface ClassCount {
  readonly name: string;
  readonly rows: number;
}

/** The classes with their rows; `labels`: class indices. */
export function countClasses(names: readonly string[], labels: Iterable<number>): ClassCount[] {
  const counts = names.map(() => 0);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return names.map((name, i) => ({ name, rows: counts[i] ?? 0 }));
}

/**
 * Classes of a training set that may be mistakes: without rows, of a single row, named as programs
 * write a missing value, nearly equal.
 */
export function classWarnings(classes: readonly ClassCount[]): string[] {
  return [
    ...fewRows(classes, 0, "no training row"),
    ...fewRows(classes, 1, "a single training row"),
    ...classes
      .filter(({ name }) => MISSING.test(name.trim()))
      .map(({ name, rows }) => `the class ${excerpt(name)} (${rows}) looks like a missing label`),
    ...nearlyEqual(classes).map(([a, b]) => {
      const [first, second] = [a, b].map((one) => `${excerpt(one.name)} (${one.rows})`);
      const difference = fold(a.name) === fold(b.name) ? "case or spaces" : "one letter";
      return `the classes ${first} and ${second} differ in ${difference} alone: is one a typo?`;
    }),
  ];
}

// --- internal ---

/** How programs write a missing value. */
const MISSING = /^(nan|null|n\/a|<na>)$/i;

/** More classes than this are not compared: the pairs would be too many. */
const MAX_COMPARED = 1000;
/** In shorter names a letter is most of the name. */
const MIN_LETTERS = 4;

function fewRows(classes: readonly ClassCount[], rows: number, what: string): string[] {
  const names = classes.filter((one) => one.rows === rows).map(({ name }) => name);
  if (names.length === 0) return [];
  return names.length === 1
    ? [`the class ${quoted(names)} has ${what}`]
    : [`${names.length} classes have ${what}: ${quoted(names)}`];
}

const fold = (name: string) => name.trim().toLowerCase();

function nearlyEqual(classes: readonly ClassCount[]): [ClassCount, ClassCount][] {
  const compared = classes.slice(0, MAX_COMPARED);
  return compared.flatMap((a, i) =>
    compared
      .slice(i + 1)
      .filter((b) => isNearlyEqual(fold(a.name), fold(b.name)))
      .map((b): [ClassCount, ClassCount] => [a, b]),
  );
}

/** Names that differ in digits alone are numbered, not misspelled. */
function isNearlyEqual(a: string, b: string): boolean {
  if (a === b) return true;
  if (Math.abs(a.length - b.length) > 1 || Math.min(a.length, b.length) < MIN_LETTERS) return false;
  if (a.replaceAll(/\d/g, "") === b.replaceAll(/\d/g, "")) return false;
  return editDistance(a, b) === 1;
}
