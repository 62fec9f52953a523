/**
 * Writes the declarations of what plugins and their tests import to types/, anew: the kit, the
 * families, and what these use. The npm package has room for no more.
 */
import { rmSync } from "node:fs";
import { runTool } from "./tools.ts";

rmSync("types", { recursive: true, force: true });
process.exitCode = runTool("tsc", ["-p", "scripts/tsconfig.types.json"]);
