import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DataSplit } from "./examples.ts";
import { locateSplits, namedSplits, type SplitOptions } from "./splits.ts";

/** Split name → stem of its file in the official release. */
const officialFiles = { train: "train", validation: "dev" } as const;

/**
 * Finds the splits of SQuAD: the official files of a folder (train-v2.0.json, dev-v2.0.json; v1.1
 * when every question has an answer), otherwise like `locateSplits`. Throws E_FILE when nothing is
 * found.
 */
export function locateSquadSplits(
  data: string,
  unanswerable: boolean,
  options: Pick<SplitOptions, "validation" | "test"> = {},
): DataSplit[] {
  const version = unanswerable ? "v2.0" : "v1.1";
  const official = new Map<string, readonly string[]>();
  for (const [name, stem] of Object.entries(officialFiles)) {
    const file = join(data, `${stem}-${version}.json`);
    if (existsSync(file)) official.set(name, [file]);
  }
  return official.size === 0 ? locateSplits(data, options) : namedSplits(official, options);
}
