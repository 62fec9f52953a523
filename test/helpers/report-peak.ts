/**
 * Preloaded into a program: at its end, its peak memory without code (MiB) is written to the
 * file that PEAK_FILE names.
 */
import { writeFileSync } from "node:fs";
import { peakMemoryWithoutCode } from "../../core/process-memory.ts";

process.on("exit", () => {
  writeFileSync(process.env["PEAK_FILE"]!, String(peakMemoryWithoutCode()! / 2 ** 20));
});
