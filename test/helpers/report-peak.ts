/** Preloaded into a program: at its end, the most memory that it had resident (MiB) is written to the file that PEAK_FILE names. */
import { writeFileSync } from "node:fs";
import { peakMemory } from "../../cli/bench/process-facts.ts";

process.on("exit", () => writeFileSync(process.env["PEAK_FILE"]!, String(peakMemory())));
