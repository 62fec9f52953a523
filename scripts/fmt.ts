/** Formats TypeScript and JSON, and C if clang-format is installed. */
import { clangFormat, runTool } from "./tools.ts";

process.exitCode = runTool("oxfmt", process.argv.slice(2)) || (clangFormat(["-i"]) ?? 0);
