import { readdirSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { errors } from "../errors.ts";
import { isFolder, statOf } from "../io/regular-file.ts";
import { nearest } from "../nearest.ts";
import type { DataSplit } from "./examples.ts";
import type { GlueTask, SplitRole } from "./glue-tasks.ts";
import { msrParaphraseSplits } from "./mrpc.ts";
import { formatOf } from "./open-table.ts";
import { quoted } from "./table.ts";

/** The task, and files that replace splits. */
export interface SplitOptions {
  readonly task?: GlueTask | undefined;
  /** Files that replace these splits, whatever the folder holds. */
  readonly validation?: string | undefined;
  readonly test?: string | undefined;
}

/**
 * Finds the splits of `data`, in the order train, validation, test. A file is the training set. A
 * folder may have GLUE's layout (train.tsv, dev.tsv, test.tsv), the hub's
 * (train-00000-of-00002.parquet …), or train.*, validation.* or dev.*, and test.* in any known
 * format; the folder of all tasks works too. Throws E_FILE when nothing is found, a shard is
 * missing, or two files match one split.
 */
export function locateSplits(data: string, options: SplitOptions = {}): DataSplit[] {
  return withOverrides(
    isDataFolder(data) ? splitsIn(data, options.task) : [fileSplit(data, "train")],
    options,
  );
}

/**
 * The splits of a data set whose files are known by split name, as on the hub; other names are left
 * out.
 */
export function namedSplits(
  files: ReadonlyMap<string, readonly string[]>,
  options: SplitOptions = {},
): DataSplit[] {
  const roleOf = (name: string) =>
    options.task?.splits.find((split) => split.name === name)?.role ?? roleNamed(name);
  const found = [...files].flatMap(([name, paths]) => {
    const role = roleOf(name);
    return role === undefined ? [] : [{ name, role, files: paths }];
  });
  return withOverrides(found, options);
}

/** A single file as a split. */
export function fileSplit(path: string, role: SplitRole): DataSplit {
  return { role, name: role, files: [path] };
}

/** Replaces splits by the files that the user named; sorted by role. */
function withOverrides(
  found: readonly DataSplit[],
  { validation, test }: SplitOptions,
): DataSplit[] {
  const overrides: DataSplit[] = [];
  if (validation !== undefined) overrides.push(fileSplit(validation, "validation"));
  if (test !== undefined) overrides.push(fileSplit(test, "test"));
  const kept = found.filter(({ role }) => overrides.every((split) => split.role !== role));
  return [...kept, ...overrides].toSorted((a, b) => roles.indexOf(a.role) - roles.indexOf(b.role));
}

const roles: readonly SplitRole[] = ["train", "validation", "test"];

/** The role with this name, or with a usual name for it: "dev" is validation. */
export function roleNamed(name: string): SplitRole | undefined {
  return roles.find((role) => usualNames[role].includes(name));
}

/**
 * Files of a folder that seem to be misspelled splits, as a question: 'did you mean "train.tsv"
 * instead of "trian.tsv"?'; undefined if there are none.
 */
export function misnamedSplits(folder: string): string | undefined {
  if (!isFolder(folder)) return undefined;
  const known = Object.values(usualNames).flat();
  const questions = [...filesByStem(folder)].flatMap(([stem, [first]]) => {
    const guess = known.includes(stem) ? undefined : nearest(stem.toLowerCase(), known);
    if (guess === undefined || first === undefined) return [];
    return [`"${guess}${extname(first.file)}" instead of "${first.file}"`];
  });
  return questions.length === 0 ? undefined : `did you mean ${questions.join(", ")}?`;
}

const usualNames: Readonly<Record<SplitRole, readonly string[]>> = {
  train: ["train"],
  validation: ["validation", "dev", "valid", "val"],
  test: ["test"],
};

function isDataFolder(path: string): boolean {
  const stats = statOf(path);
  if (stats === undefined) throw errors.file(path, "does not exist");
  return stats.isDirectory();
}

/**
 * Looks in the folder itself, then in its subfolder named after the task (GLUE's or the hub's name)
 * or "data".
 */
function splitsIn(folder: string, task: GlueTask | undefined): DataSplit[] {
  const names = [...(task === undefined ? [] : [task.folder, task.name]), "data"];
  const inside = names.map((name) => join(folder, name)).filter(isFolder);
  for (const candidate of [folder, ...inside]) {
    const splits = splitsOf(candidate, task);
    if (splits.length > 0) return splits;
  }
  throw errors.file(
    folder,
    `no train, validation or test file found: got ${quoted(readdirSync(folder).toSorted())}`,
    misnamedSplits(folder) ??
      "a data folder holds train.tsv and dev.tsv, or .csv, .jsonl or .parquet files with those names",
  );
}

function splitsOf(folder: string, task: GlueTask | undefined): DataSplit[] {
  const files = filesByStem(folder);
  const splits: DataSplit[] = [];
  for (const split of task?.splits ?? []) {
    const stems = new Set([basename(split.file, extname(split.file)), split.name]);
    const paths = filesOf(folder, files, [...stems], split.name);
    if (paths !== undefined) splits.push({ role: split.role, name: split.name, files: paths });
  }
  for (const role of roles.filter((requested) =>
    splits.every((split) => split.role !== requested),
  )) {
    const paths = filesOf(folder, files, usualNames[role], role);
    if (paths !== undefined) splits.push({ role, name: role, files: paths });
  }
  if (task?.name !== "mrpc" || splits.some(({ role }) => role !== "test")) return splits;
  const msr = msrParaphraseSplits(folder);
  return [...msr.filter(({ role }) => role !== "test" || splits.length === 0), ...splits];
}

/** A file, or one shard of it. */
interface NamedFile {
  readonly file: string;
  readonly shard?: { readonly number: number; readonly count: number };
}

function filesByStem(folder: string): ReadonlyMap<string, NamedFile[]> {
  const stems = new Map<string, NamedFile[]>();
  for (const file of readdirSync(folder).toSorted()) {
    if (formatOf(file) === undefined) continue;
    const stem = basename(file, extname(file));
    // The hub's shards: train-00000-of-00002, with a hash suffix in older uploads.
    const match = /^(.+)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?$/.exec(stem);
    const [, name = stem, number, count] = match ?? [];
    const named =
      match === null ? { file } : { file, shard: { number: Number(number), count: Number(count) } };
    const found = stems.get(name);
    if (found === undefined) stems.set(name, [named]);
    else found.push(named);
  }
  return stems;
}

function filesOf(
  folder: string,
  stems: ReadonlyMap<string, NamedFile[]>,
  names: readonly string[],
  split: string,
): readonly string[] | undefined {
  const found = names.flatMap((name) => stems.get(name) ?? []);
  const [first] = found;
  if (first === undefined) return undefined;
  const isOneSet = found.length === 1 || found.every(({ shard }) => shard !== undefined);
  if (!isOneSet) {
    const files = quoted(found.map(({ file }) => file));
    throw errors.file(
      folder,
      `more than one file matches the ${split} split: ${files}`,
      "keep one of them",
    );
  }
  if (first.shard !== undefined) checkShards(folder, found, first.shard.count, split);
  return found.map(({ file }) => join(folder, file));
}

function checkShards(folder: string, found: readonly NamedFile[], count: number, split: string) {
  const numbers = found.map(({ shard }) => shard?.number);
  const isComplete =
    numbers.length === count &&
    numbers.every((number, i) => number === i) &&
    found.every(({ shard }) => shard?.count === count);
  if (isComplete) return;
  const files = quoted(found.map(({ file }) => file));
  throw errors.file(
    folder,
    `the ${split} split is incomplete: expected ${count} shards, got ${files}`,
  );
}
