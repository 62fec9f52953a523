import { statSync } from "node:fs";
import type { DataSplit, ReadSpec } from "../core/data/examples.ts";
import type { SplitRole } from "../core/data/glue-tasks.ts";
import { fileSplit } from "../core/data/splits.ts";
import { errors } from "../core/errors.ts";
import { type Dataset, loadDataset } from "../core/train/dataset.ts";
import { type Sources, splitsAt } from "../core/train/model-files.ts";
import type { TrainedModel } from "../core/train/open-trained.ts";
import { readSpec } from "../core/train/task-spec.ts";

/** The data that the user names, by its columns; null: as the run's. */
export interface DataWishes {
  readonly data: string | null;
  readonly split: SplitRole;
  readonly textColumn: string | null;
  readonly pairColumn: string | null;
  readonly labelColumn: string | null;
  readonly limit: number | null;
}

/**
 * The splits of one role: of the data named, else of those that the model was trained on. A file that is named is the split
 * itself. Throws E_FILE where there is no such split.
 */
export async function splitsFor(
  { data, split }: Pick<DataWishes, "data" | "split">,
  { spec, run }: TrainedModel,
  sources: Sources,
): Promise<readonly DataSplit[]> {
  if (data !== null && isFile(data)) return [fileSplit(data, split)];
  const place = await sources.data(data ?? run?.data ?? null, spec.glue);
  const validation = data === null ? (run?.evalData ?? undefined) : undefined;
  const found = splitsAt(place, { task: spec.glue, validation });
  const splits = found.filter(({ role }) => role === split);
  if (splits.length > 0) return splits;
  const others = [...new Set(found.map(({ role }) => role))].join(", ");
  throw errors.file(place.path, `holds no ${split} split`, `it has: ${others}`);
}

/** Reads and tokenises splits for a trained model. */
export async function loadSplits(
  splits: readonly DataSplit[],
  wishes: Omit<DataWishes, "data" | "split">,
  { spec, run, files }: TrainedModel,
  labels: ReadSpec["labels"],
): Promise<readonly Dataset[]> {
  const columns = {
    textColumn: wishes.textColumn ?? run?.textColumn ?? null,
    pairColumn: wishes.pairColumn ?? run?.pairColumn ?? null,
    labelColumn: wishes.labelColumn ?? run?.labelColumn ?? null,
    limit: wishes.limit,
    labels: spec.labelNames ?? null,
  };
  const read = readSpec(columns, spec.glue, spec.kind, labels);
  const sets: Dataset[] = [];
  for (const split of splits) sets.push(await loadDataset(split, read, files.tokenize));
  return sets;
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
