import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { runFiles, runFilesIn, seedFolders } from "../../core/run/run-folder.ts";
import { checkWritable, type OutOptions } from "../out-folder.ts";

/** The file that each kind of experiment ends with. */
const results = { comparison: "compare.json", sweep: "sweep.json" } as const;

/**
 * Checks that an experiment may write to a folder: it holds no run and no experiment of another
 * kind, whose report would be replaced, and one of its own kind only if that is to be resumed or
 * replaced. Changes nothing. Throws E_OUT, also where the path is a file.
 */
export function checkExperimentOut(
  out: string,
  kind: keyof typeof results,
  { resume, overwrite }: OutOptions,
): void {
  checkWritable(out);
  const holds = (what: string, hint: string) => errors.out(out, `already holds a ${what}`, hint);
  const elsewhere = "give another folder with --out DIR";
  const ofRun = runFilesIn(out).filter((name) => name !== runFiles.report);
  if (ofRun.length > 0) throw holds("run", elsewhere);
  if (seedFolders(out).length > 0) throw holds("run of several seeds", elsewhere);
  const other = kind === "sweep" ? "comparison" : "sweep";
  if (existsSync(join(out, results[other]))) throw holds(other, elsewhere);
  if (!resume && !overwrite && existsSync(join(out, results[kind]))) {
    throw holds(kind, `--resume continues it, --overwrite replaces it, or ${elsewhere}`);
  }
}
