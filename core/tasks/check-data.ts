import { basename, dirname, resolve } from "node:path";
import { type ClassCount, classWarnings, countClasses } from "../data/class-names.ts";
import type { DataLocation } from "../data/data-location.ts";
import { type DataSplit, sourceNamesOf } from "../data/examples.ts";
import { glueTasks, type SplitRole } from "../data/glue-tasks.ts";
import { duplicatesIn, type ReadRow, type RepeatedRow, sharedRows } from "../data/repeated-rows.ts";
import { type TextSizes, textSizes } from "../data/text-sizes.ts";
import type { AdaloraError } from "../errors.ts";
import { inferTask } from "./infer-task.ts";
import { taskNamed } from "./index.ts";
import { readRows, type SplitRows } from "./read-rows.ts";
import type { TaskOptions } from "./task-options.ts";

/** What is to be known of data before it is trained on. */
export interface DataCheck {
  readonly task: string;
  readonly splits: readonly SplitCheck[];
  /** Texts that stand in two splits. */
  readonly shared: readonly SharedRows[];
  /** Suspicious but usable content of all splits. */
  readonly warnings: readonly string[];
}

/** A split: its usable rows, and what makes others unusable. */
export interface SplitCheck {
  readonly name: string;
  readonly role: SplitRole;
  readonly files: readonly string[];
  /** Usable rows. */
  readonly rows: number;
  readonly problems: readonly Problem[];
  readonly classes: readonly LocatedClass[] | undefined;
  /** Sizes of each part of a row's texts, and of its summary. */
  readonly sizes: readonly (TextSizes & { readonly of: string })[];
  readonly duplicates: readonly RepeatedRow[];
}

/** A row, or a whole file, that can't be used. */
export interface Problem {
  /** "train.csv:17". */
  readonly where: string;
  readonly rule: string;
  readonly hint: string | undefined;
}

/** A class with the location of its first row. */
export interface LocatedClass extends ClassCount {
  readonly first: string | undefined;
}

/** Texts that stand in both of two splits. */
export interface SharedRows {
  readonly splits: readonly [string, string];
  readonly rows: readonly RepeatedRow[];
}

/**
 * Checks every row of every split of `place` as a run would read it, but to the end. `task`: its
 * name; null infers it. `evalData`: a file that is the validation split. Throws E_FILE if no split
 * is found.
 */
export async function checkData(
  place: DataLocation,
  settings: TaskOptions,
  { task, evalData }: { readonly task: string | null; readonly evalData: string | null },
): Promise<DataCheck> {
  const name = task ?? (await inferredTask(place, settings));
  const read: Split[] = [];
  let labelNames: readonly string[] | undefined;
  for (const split of taskNamed(name, settings).locate(place, evalData ?? undefined)) {
    const rows = await readRows(split, { task: name, settings, labelNames });
    if (split.role === "train") ({ labelNames } = rows);
    read.push({ split, rows });
  }
  const splits = read.map(splitCheck);
  const classes = splits.find(({ role }) => role === "train")?.classes ?? [];
  return {
    task: name,
    splits,
    shared: sharedOf(read),
    warnings: [...new Set(read.flatMap(({ rows }) => rows.warnings)), ...classWarnings(classes)],
  };
}

// --- internal ---

interface Split {
  readonly split: DataSplit;
  readonly rows: SplitRows;
}

/** GLUE's task by the folder's name, otherwise the one that the columns and labels show. */
async function inferredTask(place: DataLocation, settings: TaskOptions): Promise<string> {
  const path = resolve(place.path);
  const folders = [basename(path), basename(dirname(path))];
  const glue = Object.values(glueTasks).find(({ folder }) => folders.includes(folder));
  if (glue !== undefined) return glue.name;
  const observer = { onProblem() {}, onRow() {} }; // bad rows are listed by the check itself
  return (await inferTask(place, { ...settings, observer })).task;
}

function splitCheck({ split, rows: read }: Split): SplitCheck {
  const { rows, labelNames } = read;
  return {
    name: split.name,
    role: split.role,
    files: sourceNamesOf(split),
    rows: rows.length,
    problems: read.problems.map(problemOf),
    classes: labelNames && locatedClasses(labelNames, rows),
    sizes: sizesOf(read),
    duplicates: duplicatesIn(rows),
  };
}

function problemOf({ message, hint, where = "" }: AdaloraError): Problem {
  return { where, rule: message.slice(where === "" ? 0 : where.length + 2), hint };
}

/** Undefined for a split without labels. */
function locatedClasses(
  names: readonly string[],
  rows: readonly ReadRow[],
): LocatedClass[] | undefined {
  const ids = new Map(names.map((name, id) => [name, id]));
  const labels = rows.map(({ label = "" }) => ids.get(label) ?? -1);
  if (labels.every((label) => label === -1)) return undefined;
  const counts = countClasses(
    names,
    labels.filter((label) => label !== -1),
  );
  return counts.map((one, id) => ({ ...one, first: rows[labels.indexOf(id)]?.location() }));
}

function sizesOf({ rows, parts, labelPart }: SplitRows): SplitCheck["sizes"] {
  if (rows.length === 0) return [];
  const labels = rows.flatMap(({ label }) => label ?? []);
  return [
    ...parts.map((of, i) => ({ of, ...textSizes(rows.map(({ texts }) => texts[i] ?? "")) })),
    ...(labelPart === undefined ? [] : [{ of: labelPart, ...textSizes(labels) }]),
  ];
}

/** Pairs of splits, the earlier one first, that have texts in common. */
function sharedOf(read: readonly Split[]): SharedRows[] {
  return read.flatMap(({ split, rows }, i) =>
    read.slice(i + 1).flatMap((other): SharedRows[] => {
      const shared = sharedRows(rows.rows, other.rows.rows);
      return shared.length === 0 ? [] : [{ splits: [split.name, other.split.name], rows: shared }];
    }),
  );
}
