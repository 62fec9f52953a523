/** Lints with types; a warning fails it. */
import { runTool } from "./tools.ts";

process.exitCode = runTool("oxlint", ["--type-aware", "--deny-warnings", ...process.argv.slice(2)]);
