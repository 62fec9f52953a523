import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { writeAll } from "./atomic.ts";
import { fileError } from "./file-errors.ts";
import { decodeUtf8, type JsonObject, parseJsonObject } from "./json-file.ts";
import { readRegular } from "./regular-file.ts";

/** A file with one JSON object per line, written record by record. */
interface JsonLog {
  /**
   * Adds a line. It has reached the operating system when this returns, so a kill loses no earlier
   * record and can tear only this one.
   */
  append(record: JsonObject): void;
  close(): void;
}

/** What to keep of the log of an earlier run; without `resumeAfter` nothing is kept. */
interface LogOptions {
  /** The last `step` to keep. */
  readonly resumeAfter?: number;
  /** Called with each record up to that step, in order; false drops it and all later ones. */
  readonly keeps?: (record: JsonObject) => boolean;
}

const LINE_FEED = 0x0a;

interface Line {
  readonly record: JsonObject;
  /** Offset of the byte after the line feed. */
  readonly end: number;
}

/**
 * The complete lines. Bytes after the last line feed are the torn write of a killed process and are
 * skipped.
 */
function* wholeLines(bytes: Uint8Array, path: string): Generator<Line> {
  let start = 0;
  for (let line = 1; ; line++) {
    const feed = bytes.indexOf(LINE_FEED, start);
    if (feed < 0) return;
    const where = `${path}:${line}`;
    const record = parseJsonObject(decodeUtf8(bytes.subarray(start, feed), where), where);
    start = feed + 1;
    yield { record, end: start };
  }
}

/**
 * Length of the log up to its first record of a later step, or its first one that `keeps` refuses.
 * A record without a step stays with the one before it.
 */
function keptLength(path: string, lastStep: number, { keeps }: LogOptions): number {
  let kept = 0;
  for (const { record, end } of wholeLines(readRegular(path), path)) {
    const { step } = record;
    if (typeof step === "number" && step > lastStep) break;
    if (keeps?.(record) === false) break;
    kept = end;
  }
  return kept;
}

/**
 * Opens a log for appending. Without `resumeAfter` it starts empty; with it, records up to that
 * `step` that `keeps` accepts are kept; later ones and a torn last line are dropped. Throws an AdaloraError naming the
 * first line that is not a JSON object.
 */
export function openJsonLog(path: string, options: LogOptions = {}): JsonLog {
  const { resumeAfter } = options;
  const resumes = resumeAfter !== undefined && existsSync(path);
  const kept = resumes ? keptLength(path, resumeAfter, options) : 0;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(path, "a");
    ftruncateSync(fd, kept);
    return {
      append(record) {
        try {
          writeAll(fd, Buffer.from(`${JSON.stringify(record)}\n`));
        } catch (error) {
          throw fileError(path, error);
        }
      },
      close: () => closeSync(fd),
    };
  } catch (error) {
    throw fileError(path, error);
  }
}
