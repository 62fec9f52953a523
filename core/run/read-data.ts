import type { RunConfig } from "../config/run-config.ts";
import type { DataSplit } from "../data/examples.ts";
import { misnamedSplits } from "../data/splits.ts";
import { errors } from "../errors.ts";
import type { Sources } from "../model/model-files.ts";
import type { SplitText, Task } from "../tasks/task.ts";
import type { Attempt } from "./attempt.ts";
import { checkNoValidation, type HeldOut, holdOut, holdOutForTuning } from "./held-out.ts";

/** The splits of a run, read and checked; what could not be read is missing. */
export interface ReadData {
  readonly train: SplitText | undefined;
  readonly validation: readonly SplitText[];
  readonly labelNames: readonly string[] | undefined;
  /** The training rows that `validation` consists of; undefined if it has data of its own. */
  readonly heldOut?: HeldOut | undefined;
  readonly warnings: readonly string[];
}

/**
 * Reads the training split, then the validation splits with its class names, or holds out a part of
 * it.
 */
export async function readData(
  config: RunConfig,
  task: Task,
  sources: Sources,
  attempt: Attempt,
): Promise<ReadData> {
  const found = await attempt(() => findSplits(config, task, sources));
  const splits = found?.splits ?? [];
  const read = async (split: DataSplit | undefined, labelNames?: readonly string[]) =>
    split && attempt(() => task.read(split, "required", labelNames));
  const train = await read(splits.find(({ role }) => role === "train"));
  const labelNames = train?.labelNames ?? config.labels ?? task.labelNames;
  const { evalFraction, tuneFraction } = config;
  if (train && (tuneFraction !== null || evalFraction !== null)) {
    const parts = await attempt(() =>
      tuneFraction === null
        ? holdOut(train, evalFraction ?? 0, config)
        : holdOutForTuning(train, tuneFraction, config),
    );
    const validation = parts ? [parts.validation] : [];
    return { train: parts?.train, validation, labelNames, heldOut: parts?.heldOut, warnings: [] };
  }
  const own = splits.filter(({ role }) => role === "validation");
  const validation: SplitText[] = [];
  for (const split of own) {
    const one = await read(split, labelNames);
    if (one) validation.push(one);
  }
  const warnings = own.length === 0 ? [noValidation(found?.path)] : [];
  return { train, validation, labelNames, warnings };
}

// --- internal ---

async function findSplits(
  config: RunConfig,
  task: Task,
  sources: Sources,
): Promise<{ readonly path: string; readonly splits: readonly DataSplit[] }> {
  const place = await sources.data(config.data, task.hub);
  const { path } = place;
  const splits = task.locate(place, config.evalData ?? undefined);
  if (config.evalFraction !== null) checkNoValidation(splits);
  const [train, ...more] = splits.filter(({ role }) => role === "train");
  if (train && more.length === 0) return { path, splits };
  const hint = misnamedSplits(path) ?? "give a folder with train.*, or a file";
  throw errors.file(path, "holds no training split", hint);
}

/** `path`: the data, which may hold the split under a misspelled name. */
function noValidation(path: string | undefined): string {
  const guess = path === undefined ? undefined : misnamedSplits(path);
  const rule =
    "no validation split (see --eval-data and --eval-fraction): nothing will be evaluated";
  return guess === undefined ? rule : `${rule}; ${guess}`;
}
