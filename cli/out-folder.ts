import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errors } from "../core/errors.ts";
import { fileError } from "../core/io/file-errors.ts";
import { runBytes, runFiles, runFilesIn, seedFolders } from "../core/run/run-folder.ts";
import { byteSize } from "./byte-size.ts";

/** The subfolder with the demo's baseline. */
export const FROZEN = "frozen";

/** What to do with a run that is already in the folder. */
export interface OutOptions {
  readonly resume: boolean;
  readonly overwrite: boolean;
}

/**
 * Checks that a run may write to a folder: it is writable, and any run in it is to be resumed or
 * overwritten. Changes nothing. Throws E_OUT, also where the path is a file.
 */
export function checkOut(out: string, { resume, overwrite }: OutOptions): void {
  if (resume && overwrite) throw errors.alternatives("--resume", "--overwrite");
  checkWritable(out);
  if (runFilesIn(out).length > 0 && !resume && !overwrite) {
    const hint = "--resume continues it, --overwrite replaces it, --out DIR writes elsewhere";
    throw errors.out(out, "already holds a run", hint);
  }
}

/**
 * Throws E_OUT where the folder's disk has less than `bytes` free. Files of an earlier run in the
 * folder count as free, since they are replaced.
 */
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

/** The default folder of a run, from its task and start time: "runs/rte-20260131-154501". */
export function defaultOut(task: string, now: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map(two).join("");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("");
  return join("runs", `${task}-${date}-${time}`);
}

/**
 * Path of the configuration of the run in a folder, to resume it. Throws E_OUT where there is none.
 */
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

/** Throws E_OUT where a folder cannot be written, or created. */
export function checkWritable(out: string): void {
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

// --- internal ---

/** The folder itself, or the nearest one above it that exists. */
function existingAncestor(path: string): string {
  const whole = resolve(path);
  return existsSync(whole) ? whole : existingAncestor(dirname(whole));
}
