/** All that a change must pass: format, lint, types, tests. Runs every step and fails if one did. */
import { clangFormat, runInForeground, runTool } from "./tools.ts";

const steps: [name: string, run: () => number | undefined][] = [
  ["format", () => runTool("oxfmt", ["--check"])],
  ["format of C", () => clangFormat(["--dry-run", "--Werror"])],
  ["lint", () => runTool("oxlint", ["--type-aware", "--deny-warnings"])],
  ["types", () => runTool("tsc", ["-p", "."]) || runTool("tsc", ["-p", "scripts"])],
  ["tests", () => runInForeground([process.execPath, "scripts/test.ts"])],
];
const failed = steps.filter(([name, run]) => {
  console.log(`--- ${name}`);
  const status = run();
  if (status === undefined) console.log("left out: the tool is not installed here");
  return status !== undefined && status !== 0;
});
console.log(
  failed.length === 0 ? "all is well" : `failed: ${failed.map(([name]) => name).join(", ")}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
