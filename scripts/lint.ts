/** Lints with type information; warnings fail it. */
import { runTool } from "./tools.ts";

process.exitCode = runTool("oxlint", ["--type-aware", "--deny-warnings", ...process.argv.slice(2)]);
