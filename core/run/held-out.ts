import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "../config/run-config.ts";
import { type DataSplit, sourceNamesOf } from "../data/examples.ts";
import { errors } from "../errors.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { readJsonObject } from "../io/json-file.ts";
import type { SplitText } from "../tasks/task.ts";
import { trainErrors } from "../train/train-errors.ts";
import { runFiles } from "./run-folder.ts";

/** Training rows that a run evaluates on instead. */
export interface HeldOut {
  /** Rows of the training data, these included. */
  readonly total: number;
  /** Indices of the rows, from 0 and ascending; a header and skipped lines are not counted. */
  readonly rows: readonly number[];
  /** Rows that the run neither trains nor evaluates on, ascending; none if absent. */
  readonly unseen?: readonly number[] | undefined;
}

/** The training data in two parts. */
export interface HeldOutSplit {
  readonly train: SplitText;
  readonly validation: SplitText;
  readonly heldOut: HeldOut;
}

/**
 * Holds out `evalFraction` of the training rows, then applies the limits to both parts. Throws
 * E_CONFIG if the data has a validation split, or the task cannot divide its rows.
 */
export function holdOut(
  train: SplitText,
  fraction: number,
  { seed, evalSeed, task, trainLimit, evalLimit }: RunConfig,
): HeldOutSplit {
  const { parts } = train;
  if (parts === undefined) {
    throw errors.unusable("--eval-fraction", `task ${task}`, "use --eval-data");
  }
  const rows = parts.holdOut({ fraction, seed: evalSeed ?? seed });
  const others = otherRows(rows, parts.rows);
  return {
    train: parts.select(train.name, others.slice(0, trainLimit ?? undefined)),
    validation: parts.select("validation", rows.slice(0, evalLimit ?? undefined)),
    heldOut: { total: parts.rows, rows },
  };
}

/**
 * Holds out `tuneFraction` of the rows that a run would train on, to choose settings by. Rows of
 * `--eval-fraction` are in neither part. Throws E_CONFIG if the task cannot divide its rows.
 */
export function holdOutForTuning(
  train: SplitText,
  fraction: number,
  { seed, evalSeed, evalFraction, task, trainLimit, evalLimit }: RunConfig,
): HeldOutSplit {
  const { parts } = train;
  if (parts === undefined) {
    throw errors.unusable("--tune-fraction", `task ${task}`, "its rows cannot be divided");
  }
  const chosenBy = { seed: evalSeed ?? seed };
  const evaluated =
    evalFraction === null ? [] : parts.holdOut({ fraction: evalFraction, ...chosenBy });
  const trained = otherRows(evaluated, parts.rows).slice(0, trainLimit ?? undefined);
  const inner = parts.select(train.name, trained).parts;
  const held = inner?.holdOut({ fraction, ...chosenBy }) ?? [];
  const rowsAt = (indices: readonly number[]) => indices.map((index) => trained[index]!);
  return {
    train: parts.select(train.name, rowsAt(otherRows(held, trained.length))),
    validation: parts.select("validation", rowsAt(held.slice(0, evalLimit ?? undefined))),
    heldOut: {
      total: parts.rows,
      rows: rowsAt(held),
      ...(evaluated.length > 0 && { unseen: evaluated }),
    },
  };
}

/** Throws E_CONFIG if the data has a validation split: nothing needs to be held out. */
export function checkNoValidation(splits: readonly DataSplit[]): void {
  const own = splits.filter(({ role }) => role === "validation");
  if (own.length === 0) return;
  const where = `data with a validation split of its own (${own.flatMap(sourceNamesOf).join(", ")})`;
  const hint =
    "leave it out to evaluate on that split, or name the training file alone with --data";
  throw errors.unusable("--eval-fraction", where, hint);
}

/**
 * Saves the held-out rows in a run's folder. Throws E_RESUME if the folder is to be resumed and has
 * others: the data has changed.
 */
export function saveHeldOut(out: string, heldOut: HeldOut, resume: boolean): void {
  const saved = resume ? readHeldOut(out) : undefined;
  const json = JSON.stringify(heldOut);
  if (saved !== undefined && JSON.stringify(saved) !== json) throw trainErrors.otherRun(out);
  writeFileAtomic(join(out, runFiles.heldOut), `${json}\n`);
}

/** The held-out rows that a run's folder names; undefined if it names none. */
export function readHeldOut(out: string): HeldOut | undefined {
  const path = join(out, runFiles.heldOut);
  if (!existsSync(path)) return undefined;
  const { total, rows, unseen = [] } = readJsonObject(path);
  const isRow = (row: unknown): row is number => Number.isSafeInteger(row) && Number(row) >= 0;
  const areRows = (list: unknown): list is number[] => Array.isArray(list) && list.every(isRow);
  if (!isRow(total) || !areRows(rows) || !areRows(unseen)) {
    throw errors.file(path, 'must hold "total" and "rows", row indices from 0');
  }
  return { total, rows, ...(unseen.length > 0 && { unseen }) };
}

/** The part of a run's training split that it evaluates on, or the part that it trains on. */
export function partOf(
  split: DataSplit,
  { total, rows, unseen = [] }: HeldOut,
  isHeldOut: boolean,
): DataSplit {
  return isHeldOut
    ? { ...split, name: "validation", rows }
    : { ...split, rows: otherRows([...rows, ...unseen], total) };
}

// --- internal ---

function otherRows(rows: readonly number[], total: number): readonly number[] {
  const held = new Set(rows);
  return Array.from({ length: total }, (_, row) => row).filter((row) => !held.has(row));
}
