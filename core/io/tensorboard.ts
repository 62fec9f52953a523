import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { writeAll } from "./atomic.ts";
import { fileError } from "./file-errors.ts";
import { readRegular } from "./regular-file.ts";
import {
  type EventRecord,
  scalarRecord,
  versionRecord,
  wholeRecords,
} from "./tensorboard-event.ts";

/** What to keep of the curves of an earlier run; without `resumeAfter` nothing is kept. */
interface ScalarOptions {
  /** The last step to keep. */
  readonly resumeAfter?: number;
  /** Called with each record up to that step, in order; false drops it and all later ones. */
  readonly keeps?: (record: EventRecord) => boolean;
}

/** Writes scalars to a TensorBoard event file. */
interface ScalarWriter {
  /** Adds a point to the curve `tag`. It has reached the operating system when this returns. */
  scalar(tag: string, step: number, value: number): void;
  close(): void;
}

const PREFIX = "events.out.tfevents.";

/**
 * Length of an event file up to its first record of a later step, its first one that `keeps`
 * refuses, or its first torn one.
 */
function keptLength(path: string, { resumeAfter = -1, keeps }: ScalarOptions): number {
  let kept = 0;
  for (const record of wholeRecords(readRegular(path))) {
    if (record.step > resumeAfter || keeps?.(record) === false) break;
    kept = record.end;
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
function truncateFiles(dir: string, options: ScalarOptions): string[] {
  const paths = readdirSync(dir)
    .filter((name) => name.startsWith(PREFIX))
    .toSorted()
    .map((name) => join(dir, name));
  return paths.filter((path) => {
    const kept = options.resumeAfter === undefined ? 0 : keptLength(path, options);
    if (kept === 0) rmSync(path);
    else truncateTo(path, kept);
    return kept > 0;
  });
}

const nowSeconds = () => Date.now() / 1000;

/**
 * Opens a folder of event files for scalars. Without `resumeAfter` the curves start anew; with it,
 * points up to that step that `keeps` accepts are kept, later ones are dropped, and the newest file
 * is continued. Throws
 * an AdaloraError naming the folder.
 */
export function openScalars(dir: string, options: ScalarOptions = {}): ScalarWriter {
  try {
    mkdirSync(dir, { recursive: true });
    const lastPath = truncateFiles(dir, options).at(-1);
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
