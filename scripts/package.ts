/**
 * Rewrites the content of the npm package: to lib/ the program without types and comments, to
 * types/ the declarations of what plugins and their tests import (the kit, the families, and what
 * these use), comments included. With its sources as they are, the package would be a third larger.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runTool } from "./tools.ts";

const PROGRAM = ["cli", "core", "demo", "ffi", "models", "plugins", "scripts/setup"];
/** What the program reads beside itself. No lock file: see is_package in bootstrap.sh. */
const FILES = ["bunfig.toml", "package.json", "scripts/bootstrap.sh"];

rmSync("lib", { recursive: true, force: true });
for (const path of [...PROGRAM, ...FILES]) {
  mkdirSync(dirname(join("lib", path)), { recursive: true });
  cpSync(path, join("lib", path), { recursive: true });
}
const transpiler = new Bun.Transpiler({ loader: "ts", target: "bun", deadCodeElimination: false });
for (const name of new Bun.Glob("**/*.ts").scanSync("lib")) {
  const path = join("lib", name);
  writeFileSync(path, transpiler.transformSync(readFileSync(path, "utf8")));
}

rmSync("types", { recursive: true, force: true });
process.exitCode = runTool("tsc", ["-p", "scripts/tsconfig.types.json"]);
