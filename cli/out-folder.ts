import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errors } from "../core/errors.ts";
import { fileError } from "../core/io/file-errors.ts";
import { runBytes, runFiles, runFilesIn, seedFolders } from "../core/run/run-folder.ts";
import { byteSize } from "./byte-size.ts";

/** Where in the demo's folder its comparison lies. */
export const FROZEN = "frozen";

export interface OutOptions {
  readonly resume: boolean;
  readonly overwrite: boolean;
}

/**
 * Refuses a folder that already holds a run, unless it is to be resumed or overwritten, and one that can't be written to;
 * changes nothing. Throws E_OUT, also where the path is a file.
 */
export function checkOut(out: string, { resume, overwrite }: OutOptions): void {
  if (resume && overwrite) throw errors.alternatives("--resume", "--overwrite");
  checkWritable(out);
  if (runFilesIn(out).length > 0 && !resume && !overwrite) {
    const hint = "--resume continues it, --overwrite replaces it, --out DIR writes elsewhere";
    throw errors.out(out, "already holds a run", hint);
  }
}

/** The same for results beside which no run may lie: predictions of other data would be taken for the run's own. */
export function checkResultsOut(out: string): void {
  checkWritable(out);
  const own = runFilesIn(out).filter((name) => !/^predictions|^metrics/.test(name));
  if (own.length > 0) throw errors.out(out, "holds a run", "--out DIR writes elsewhere");
}

/** Throws E_OUT where less than `bytes` are free on the folder's disk; what an earlier run takes there is to be replaced. */
export function checkSpace(out: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(existingAncestor(out));
  const free = bavail * bsize + runBytes(out);
  if (free >= bytes) return;
  throw errors.out(
    out,
    `has too little free space: the run's files need ${byteSize(bytes)}, ${byteSize(free)} are free`,
    "free some space, keep fewer checkpoints with --save-limit, or write elsewhere with --out DIR",
  );
}

/** The folder of a run that names none: a new one for each, "runs/rte-20260131-154501". */
export function defaultOut(task: string, now: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map(two).join("");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("");
  return join("runs", `${task}-${date}-${time}`);
}

/** The configuration of the run in a folder, to go on with it. Throws E_OUT where there is none. */
export function configIn(out: string): string {
  const path = join(out, runFiles.config);
  if (existsSync(path)) return path;
  if (!existsSync(out)) throw errors.out(out, "does not exist: there is no run to resume");
  const hint =
    seedFolders(out).length > 0
      ? "it holds runs of several seeds: repeat the command that started them, with --resume"
      : "name the run's recipe or file, as when it was started";
  throw errors.out(out, `holds no ${runFiles.config} to resume from`, hint);
}

// --- internal ---

function checkWritable(out: string): void {
  const place = existingAncestor(out);
  if (!statSync(place).isDirectory()) {
    const rule = place === resolve(out) ? "is a file, not a folder" : `lies below a file, ${place}`;
    throw errors.out(out, rule, "name a folder with --out DIR");
  }
  try {
    accessSync(place, constants.W_OK);
  } catch (error) {
    throw fileError(place, error);
  }
}

/** The folder itself, or the nearest one above it that exists. */
function existingAncestor(path: string): string {
  const whole = resolve(path);
  return existsSync(whole) ? whole : existingAncestor(dirname(whole));
}
