/** Runs format, lint, type checks and tests, all of them; fails if one does. */
import { clangFormat, runInForeground, runTool } from "./tools.ts";

const steps: [name: string, run: () => number | undefined][] = [
  ["format", () => runTool("oxfmt", ["--check"])],
  ["format of C", () => clangFormat(["--dry-run", "--Werror"])],
  ["lint", () => runTool("oxlint", ["--type-aware", "--deny-warnings"])],
  [
    "types",
    () =>
      runTool("tsc", ["-p", "."]) ||
      runTool("tsc", ["-p", "scripts"]) ||
      runTool("tsc", ["-p", "cli/report-page/browser"]),
  ],
  ["tests", () => runInForeground([process.execPath, "scripts/test.ts"])],
];
const failed = steps.filter(([name, run]) => {
  console.log(`--- ${name}`);
  const status = run();
  if (status === undefined) console.log("skipped: the tool is not installed");
  return status !== undefined && status !== 0;
});
console.log(
  failed.length === 0 ? "all checks passed" : `failed: ${failed.map(([name]) => name).join(", ")}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
