import { writeFileAtomic } from "../../core/io/atomic.ts";
import { type ArmsReport, armsPage } from "./arms-page.ts";
import { reportPage } from "./page.ts";
import type { ReportedRun } from "./read-run.ts";

/** Writes the report of one run or several to a file. Throws E_FILE where it cannot. */
export function writeReport(runs: readonly ReportedRun[], file: string): void {
  writeFileAtomic(file, reportPage(runs));
}

/** Writes the report of a comparison or a sweep to a file. Throws E_FILE where it cannot. */
export function writeArmsReport(report: ArmsReport, file: string): void {
  writeFileAtomic(file, armsPage(report));
}
