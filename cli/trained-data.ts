import type { DataSplit, ReadSpec } from "../core/data/examples.ts";
import type { SplitRole } from "../core/data/glue-tasks.ts";
import { fileSplit } from "../core/data/splits.ts";
import { errors } from "../core/errors.ts";
import { statOf } from "../core/io/regular-file.ts";
import type { Sources } from "../core/model/model-files.ts";
import { partOf } from "../core/run/held-out.ts";
import type { TrainedModel } from "../core/run/open-trained.ts";
import type { KeptCells } from "../core/data/kept-columns.ts";
import type { PredictionSet } from "../core/tasks/task.ts";

/** The requested data; null: the run's. */
export interface DataOptions {
  readonly data: string | null;
  readonly split: SplitRole;
}

/**
 * The splits with the requested role, of the requested data or else of the data that the model was
 * trained on, divided as the run divided it. A file is one split by itself. Throws E_FILE where there is no such split.
 */
export async function splitsFor(
  { data, split }: DataOptions,
  { task, run, heldOut }: TrainedModel,
  sources: Sources,
): Promise<readonly DataSplit[]> {
  if (data !== null && isFile(data)) return [fileSplit(data, split)];
  const place = await sources.data(data ?? run?.data ?? null, task.hub);
  const found = task.locate(place, data === null ? (run?.evalData ?? undefined) : undefined);
  if (heldOut && data === null && split !== "test") {
    const train = found.filter(({ role }) => role === "train");
    return train.map((one) => partOf(one, heldOut, split === "validation"));
  }
  const splits = found.filter(({ role }) => role === split);
  if (splits.length > 0) return splits;
  const others = [...new Set(found.map(({ role }) => role))].join(", ");
  throw errors.file(place.path, `holds no ${split} split`, `it has: ${others}`);
}

/** A split to predict, and the cells of its rows that predictions carry through. */
export interface LoadedSplit {
  readonly dataset: PredictionSet;
  readonly kept: readonly KeptCells[] | undefined;
}

/** Reads and tokenises splits for a trained model. */
export async function loadSplits(
  splits: readonly DataSplit[],
  trained: TrainedModel,
  labels: ReadSpec["labels"],
): Promise<readonly LoadedSplit[]> {
  const { task, spec, files } = trained;
  const sets: LoadedSplit[] = [];
  for (const split of splits) {
    const text = await task.read(split, labels, spec.labelNames);
    const dataset = await text.forPrediction(files.tokenize);
    sets.push({ dataset: withTextsWarning(dataset, trained), kept: text.kept });
  }
  return sets;
}

// --- internal ---

/** Adds a warning where the model was trained on single texts and the rows are pairs, or vice versa. */
function withTextsWarning(dataset: PredictionSet, { textsPerRow }: TrainedModel): PredictionSet {
  const { name, textsPerRow: found } = dataset;
  if (textsPerRow === undefined || found === undefined || found === textsPerRow) return dataset;
  const [trained, got] = found === 2 ? ["single texts", "pairs"] : ["pairs", "single texts"];
  const warning = `the model was trained on ${trained}, the rows of ${name} are ${got}`;
  return { ...dataset, warnings: [...dataset.warnings, warning] };
}

const isFile = (path: string) => statOf(path)?.isFile() === true;
