import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { glueTasks } from "../core/data/glue-tasks.ts";
import { errors } from "../core/errors.ts";
import { removeTree } from "../core/io/remove.ts";
import { runFilesIn } from "../core/run/run-folder.ts";
import { checkWritable } from "./out-folder.ts";
import type { TableFormat } from "./prediction-text.ts";

/** Where predictions are written: one file, or a folder for the task's files. */
export interface ResultsOut {
  readonly path: string;
  /** The file's format; undefined for a folder. */
  readonly format: TableFormat | undefined;
}

const formats: Readonly<Partial<Record<string, TableFormat>>> = {
  ".csv": "csv",
  ".tsv": "tsv",
  ".jsonl": "jsonl",
};

/**
 * The destination that `--out` names: a file if the name ends in .csv, .tsv or .jsonl, else a
 * folder. Null without `--out`. Throws E_OUT where it cannot be written, holds a run, or holds
 * results that `overwrite` does not allow to be replaced; E_CONFIG for `overwrite` alone.
 */
export function resultsOut({ out, overwrite }: ResultsOptions): ResultsOut | null {
  if (out === null) {
    if (overwrite) throw errors.missing("--out", "--overwrite replaces the results in --out");
    return null;
  }
  const format = formats[extname(out).toLowerCase()];
  if (format === undefined) checkFolder(out, overwrite);
  else checkFile(out, overwrite);
  return { path: out, format };
}

interface ResultsOptions {
  readonly out: string | null;
  readonly overwrite: boolean;
}

/** Removes a folder's earlier results, so that none stays beside those that replace it. */
export function clearResults(folder: string): void {
  for (const name of resultsIn(folder)) removeTree(join(folder, name));
}

// --- internal ---

const replaces = "--overwrite replaces it, --out writes elsewhere";

function checkFile(path: string, overwrite: boolean): void {
  const folder = dirname(path);
  checkWritable(folder);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) {
    throw errors.out(path, "is a folder", "a name that ends in .csv, .tsv or .jsonl is a file's");
  }
  if (isOfAnyRun.test(basename(path)) && holdsRun(folder)) {
    throw errors.out(
      path,
      "would be mistaken for a file of the run beside it",
      "give another name",
    );
  }
  if (stats !== undefined && !overwrite) throw errors.out(path, "already exists", replaces);
}

function checkFolder(path: string, overwrite: boolean): void {
  checkWritable(path);
  if (holdsRun(path)) throw errors.out(path, "holds a run", "--out DIR writes elsewhere");
  const [first] = resultsIn(path);
  if (first !== undefined && !overwrite) {
    throw errors.out(join(path, first), "already exists", replaces);
  }
}

/** Whether a folder holds a run, whose own predictions the results would be mistaken for. */
const holdsRun = (folder: string) => runFilesIn(folder).some((name) => !isOfAnyRun.test(name));

/** Files of a run that predictions and evaluations have too. */
const isOfAnyRun = /^predictions[._-]|^metrics\.json$/;

const submissions = Object.values(glueTasks).flatMap(({ splits }) =>
  splits.flatMap(({ submission }) => submission?.replace(/\.tsv$/, "") ?? []),
);

/** Whether a name is of a file that an evaluation or a prediction writes. */
function isResult(name: string): boolean {
  if (/^((nbest_)?predictions|null_odds)(_\w+)?\.jsonl?$|^metrics\.json$/.test(name)) return true;
  return submissions.some((stem) => name === `${stem}.tsv` || name.startsWith(`${stem}_test`));
}

const resultsIn = (folder: string) =>
  existsSync(folder) ? readdirSync(folder).filter(isResult).toSorted() : [];
