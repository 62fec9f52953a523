/**
 * Holds text, metrics, schedules and the optimizer to a folder of goldens:
 * `bun test/golden/check-text.ts DIR [--shared SHARED]`. SHARED holds tokenizers/ and data/; default: DIR's parent.
 * Prints one JSON line a file, { file, status: pass|fail|skip, reason?, worst }; exits 1 if anything failed.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checks } from "./text/checks.ts";
import type { GoldenFolder, Verdict } from "./text/verdict.ts";

/** Checks one file of the folder; an exception is a failure with its message. */
export async function checkFile(folder: GoldenFolder, file: string): Promise<Verdict> {
  const check = Object.hasOwn(checks, file) ? checks[file] : undefined;
  if (check === undefined) {
    return { status: "skip", reason: "no check knows this file", worst: {} };
  }
  try {
    return await check(folder, file);
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { status: "fail", reason, worst: {} };
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { shared: { type: "string" } },
    allowPositionals: true,
  });
  const [given, ...rest] = positionals;
  if (given === undefined || rest.length > 0 || !existsSync(given)) {
    console.error("usage: bun test/golden/check-text.ts DIR [--shared SHARED]");
    return 1;
  }
  const dir = resolve(given);
  const folder = { dir, shared: resolve(values.shared ?? dirname(dir)) };
  let failed = 0;
  for (const file of readdirSync(dir).toSorted()) {
    const verdict = await checkFile(folder, file);
    console.log(JSON.stringify({ file, ...verdict }));
    if (verdict.status === "fail") failed++;
  }
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
