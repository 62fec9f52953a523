import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { readRegular } from "../io/regular-file.ts";
import { tsvRecords } from "./delimited.ts";
import type { DataSplit, RowFilter } from "./examples.ts";
import { decodeText } from "./text-file.ts";

const idColumns = ["#1 ID", "#2 ID"] as const;

/**
 * MRPC in Microsoft's release: GLUE's dev set is the rows of msr_paraphrase_train.txt whose pair of
 * sentence ids is listed in dev_ids.tsv; without that file there is no dev set. The test file is
 * labelled.
 */
export function msrParaphraseSplits(folder: string): DataSplit[] {
  const splits: DataSplit[] = [];
  const train = join(folder, "msr_paraphrase_train.txt");
  const test = join(folder, "msr_paraphrase_test.txt");
  const ids = ["dev_ids.tsv", "mrpc_dev_ids.tsv"]
    .map((name) => join(folder, name))
    .find((path) => existsSync(path));
  if (existsSync(train)) {
    const dev = ids === undefined ? undefined : readIds(ids);
    splits.push({ role: "train", name: "train", files: [train], filter: idFilter(dev, false) });
    if (dev !== undefined) {
      const filter = idFilter(dev, true);
      splits.push({ role: "validation", name: "validation", files: [train], filter });
    }
  }
  if (existsSync(test)) splits.push({ role: "test", name: "test", files: [test] });
  return splits;
}

function idFilter(dev: ReadonlySet<string> | undefined, inDev: boolean): RowFilter | undefined {
  if (dev === undefined) return undefined;
  return { columns: idColumns, keep: (cells) => dev.has(cells.join("\t")) === inDev };
}

function readIds(path: string): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { line, fields } of tsvRecords(decodeText(readRegular(path), path))) {
    if (fields.length === 1 && fields[0] === "") continue;
    if (fields.length !== idColumns.length) {
      throw errors.file(
        `${path}:${line}`,
        `a line must hold 2 sentence ids, got ${fields.length} fields`,
      );
    }
    ids.add(fields.join("\t"));
  }
  return ids;
}
