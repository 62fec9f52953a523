import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { writeAll } from "./atomic.ts";
import { fileError } from "./file-errors.ts";
import { readRegular } from "./regular-file.ts";
import { scalarRecord, versionRecord, wholeRecords } from "./tensorboard-event.ts";

/** Writes scalars to a TensorBoard event file. */
interface ScalarWriter {
  /** Adds a point to the curve `tag`. It has reached the operating system when this returns. */
  scalar(tag: string, step: number, value: number): void;
  close(): void;
}

const PREFIX = "events.out.tfevents.";

/** Length of an event file up to its first record of a later step, or its first torn record. */
function keptLength(path: string, lastStep: number): number {
  let kept = 0;
  for (const { step, end } of wholeRecords(readRegular(path))) {
    if (step > lastStep) break;
    kept = end;
  }
  return kept;
}

function truncateTo(path: string, length: number): void {
  const fd = openSync(path, "r+");
  try {
    ftruncateSync(fd, length);
  } finally {
    closeSync(fd);
  }
}

/**
 * Truncates every event file of the folder after the step (to nothing without a step), deletes
 * empty ones, and lists the rest.
 */
function truncateFiles(dir: string, resumeAfter: number | undefined): string[] {
  const paths = readdirSync(dir)
    .filter((name) => name.startsWith(PREFIX))
    .toSorted()
    .map((name) => join(dir, name));
  return paths.filter((path) => {
    const kept = resumeAfter === undefined ? 0 : keptLength(path, resumeAfter);
    if (kept === 0) rmSync(path);
    else truncateTo(path, kept);
    return kept > 0;
  });
}

const nowSeconds = () => Date.now() / 1000;

/**
 * Opens a folder of event files for scalars. Without `resumeAfter` the curves start anew; with it,
 * points up to that step are kept, later ones are dropped, and the newest file is continued. Throws
 * an AdaloraError naming the folder.
 */
export function openScalars(dir: string, options: { resumeAfter?: number } = {}): ScalarWriter {
  try {
    mkdirSync(dir, { recursive: true });
    const lastPath = truncateFiles(dir, options.resumeAfter).at(-1);
    const newPath = join(
      dir,
      `${PREFIX}${Math.floor(nowSeconds())}.${hostname()}.${process.pid}.0`,
    );
    const fd = openSync(lastPath ?? newPath, "a");
    const write = (record: Uint8Array) => {
      try {
        writeAll(fd, record);
      } catch (error) {
        throw fileError(dir, error);
      }
    };
    if (lastPath === undefined) write(versionRecord(nowSeconds()));
    return {
      scalar: (tag, step, value) => write(scalarRecord(nowSeconds(), step, tag, value)),
      close: () => closeSync(fd),
    };
  } catch (error) {
    throw fileError(dir, error);
  }
}
