import { closeSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { errors } from "../../core/errors.ts";
import { statOf } from "../../core/io/regular-file.ts";
import { checkWritable } from "../out-folder.ts";

/**
 * Throws E_OUT where a report cannot be written to `file`: it is a folder, its folder cannot be
 * written, or the file is something else than an earlier report, which must not be lost.
 */
export function checkReportFile(file: string): void {
  checkWritable(dirname(file));
  const stats = statOf(file);
  if (stats === undefined) return;
  if (stats.isDirectory()) throw errors.out(file, "is a folder", "--out names a file");
  if (stats.size === 0 || (stats.isFile() && isReport(file))) return;
  throw errors.out(file, "already exists and is no report", "--out FILE writes elsewhere");
}

// --- internal ---

/** The head of a page, in which its maker stands. */
const HEAD_BYTES = 4096;

/** Whether a file begins as a page of any version of `adalora report` does. */
function isReport(file: string): boolean {
  const head = Buffer.alloc(HEAD_BYTES);
  const fd = openSync(file, "r");
  try {
    const length = readSync(fd, head, 0, HEAD_BYTES, 0);
    return head.toString("utf8", 0, length).includes('name="generator" content="adalora ');
  } finally {
    closeSync(fd);
  }
}
