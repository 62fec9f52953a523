import { errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { nearest } from "../nearest.ts";
import { typeOf } from "./json-table.ts";
import { quoted } from "./table.ts";
import type { Warnings } from "./warnings.ts";

/**
 * Parses a label's cell to its class index or score; undefined for a missing optional label. Throws
 * E_FILE at `location`.
 */
type LabelParser = (cell: unknown, location: string) => number | undefined;

/** Throws E_FILE at `location` for a label of another form, name or number, than the first one. */
type FormCheck = (cell: unknown, location: string) => void;

/** How the labels of a column are checked. */
export interface LabelRules {
  /** The column's name, for messages. */
  readonly column: string;
  /** Whether an empty cell, or -1 (the hub's marker), is a missing label instead of an error. */
  readonly optional: boolean;
  /** Hint for a wrong label, where the file's layout may be the cause. */
  readonly hint?: string | undefined;
}

/**
 * Parses class labels: one of `names`, or its index unless the names are integers themselves. A
 * column holds either names or indices: `checkForm`, which the files of a split share, throws E_FILE
 * at the first label of the other form.
 */
export function classParser(
  names: readonly string[],
  rules: LabelRules,
  checkForm: FormCheck = formChecker(rules),
): LabelParser {
  const classIds = new Map(names.map((name, i) => [name, i]));
  const mayBeIndex = !names.some(isInteger);
  if (mayBeIndex) names.forEach((_, i) => classIds.set(String(i), i));
  return (cell, location) => {
    if (isMissing(cell, location, rules, !classIds.has("-1"))) return undefined;
    const classId = isScalar(cell) ? classIds.get(String(cell)) : undefined;
    if (classId === undefined) throw unknownClass(cell, location, names, rules);
    if (mayBeIndex) checkForm(cell, location);
    return classId;
  };
}

/**
 * Checks the labels of one column, in order: throws E_FILE at the first number after a name, or name
 * after a number. Which class a number among names stands for would be a guess.
 */
export function formChecker(rules: LabelRules): FormCheck {
  let first: { readonly isNumber: boolean; readonly text: string } | undefined;
  return (cell, location) => {
    const isNumber = scoreOf(cell) !== undefined;
    first ??= { isNumber, text: `${formatCell(cell)} at ${location}` };
    if (first.isNumber === isNumber) return;
    throw errors.file(
      location,
      `"${rules.column}" mixes class names and numbers: got ${formatCell(cell)} after ${first.text}`,
      "write every label as a name, or every label as a number; --labels lists classes of your own data that are both",
    );
  };
}

/** Parses scores: finite numbers; one outside `range` is a warning. */
export function scoreParser(
  range: readonly [low: number, high: number] | undefined,
  rules: LabelRules,
  warnings: Warnings,
): LabelParser {
  // -1 marks a missing score only where a real score cannot be -1.
  const minusOneIsMissing = range !== undefined && range[0] > -1;
  return (cell, location) => {
    if (isMissing(cell, location, rules, minusOneIsMissing)) return undefined;
    const score = scoreOf(cell);
    if (score === undefined) {
      throw errors.file(
        location,
        `"${rules.column}" must be a finite number, got ${formatCell(cell)}`,
        isDecimalComma(cell) ? "write decimals with a point: 3.5" : undefined,
      );
    }
    if (range !== undefined && (score < range[0] || score > range[1])) {
      warnings.add(
        "range",
        location,
        `"${rules.column}" ${score} is outside ${range[0]}..${range[1]}`,
      );
    }
    return score;
  };
}

/**
 * The classes of a data set that declares none: its distinct labels, integers in numeric order,
 * anything else in string order (like transformers' run_glue). Throws E_FILE on fewer than 2.
 */
export function classNamesIn(cells: readonly string[], file: string, column: string): string[] {
  const names = [...new Set(cells)];
  if (names.length < 2) {
    throw errors.file(
      file,
      `"${column}" needs at least 2 classes, got ${names.length === 0 ? "none" : quoted(names)}`,
    );
  }
  if (names.every(isInteger)) return names.toSorted((a, b) => Number(a) - Number(b));
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

/**
 * A class label as text, before the classes are known. Throws E_FILE on a value that cannot name a
 * class.
 */
export function classNameOf(
  cell: unknown,
  location: string,
  rules: LabelRules,
): string | undefined {
  if (isMissing(cell, location, rules, false)) return undefined;
  if (!isScalar(cell) || (typeof cell === "number" && !Number.isInteger(cell))) {
    throw errors.file(
      location,
      `"${rules.column}" must be a class name or an integer, got ${formatCell(cell)}`,
      "for scores use a regression task",
    );
  }
  return String(cell);
}

function isMissing(cell: unknown, location: string, rules: LabelRules, minusOne: boolean): boolean {
  const isEmpty = cell === undefined || cell === null || cell === "";
  const isMarker = minusOne && isScalar(cell) && Number(cell) === -1;
  if (rules.optional) return isEmpty || isMarker;
  if (isEmpty) {
    throw errors.file(
      location,
      `"${rules.column}" is ${cell === null ? "null" : "empty"}: every row needs a label`,
    );
  }
  return false;
}

function unknownClass(
  cell: unknown,
  location: string,
  names: readonly string[],
  rules: LabelRules,
) {
  const idRange = names.some(isInteger) ? "" : ` (or 0..${names.length - 1})`;
  const found = cutText(String(isScalar(cell) ? cell : ""), 1000)
    .trim()
    .toLowerCase();
  const near = names.find((name) => name.toLowerCase() === found) ?? nearest(found, names);
  return errors.file(
    location,
    `"${rules.column}" must be one of ${quoted(names)}${idRange}, got ${formatCell(cell)}`,
    near === undefined ? rules.hint : `did you mean "${cutText(near)}"?`,
  );
}

/** Whether a cell is a finite number, or the text of one. */
export const isNumberCell = (cell: unknown): boolean => scoreOf(cell) !== undefined;

/** Whether a cell is a number with a decimal comma: "3,5". */
export const isDecimalComma = (cell: unknown): boolean =>
  typeof cell === "string" && /^[+-]?\d+,\d+$/.test(cell);

// One way to match any text: two runs of digits side by side would take quadratic time.
const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

function scoreOf(cell: unknown): number | undefined {
  if (typeof cell === "bigint") return Number(cell);
  const isDecimal = typeof cell === "string" && decimal.test(cell);
  const score = isDecimal ? Number(cell) : cell;
  return typeof score === "number" && Number.isFinite(score) ? score : undefined;
}

function isScalar(cell: unknown): cell is string | number | bigint | boolean {
  return ["string", "number", "bigint", "boolean"].includes(typeof cell);
}

const isInteger = (name: string) => /^(0|-?[1-9]\d*)$/.test(name);

/** A cell for a message: strings in quotes, other scalars as text, anything else by its type. */
export function formatCell(cell: unknown): string {
  return isScalar(cell) ? excerpt(cell) : typeOf(cell);
}
