/** Writes the declarations of what the npm package exports to types/, anew. */
import { rmSync } from "node:fs";
import { runTool } from "./tools.ts";

rmSync("types", { recursive: true, force: true });
process.exitCode = runTool("tsc", ["-p", "scripts/tsconfig.types.json"]);
