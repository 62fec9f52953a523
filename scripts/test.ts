/**
 * Runs `bun test` with the given arguments, several files at a time; without arguments, fuzzes all
 * readers for a minute beside it, which counts as one more test. The last line printed counts: "N
 * passed, N failed, N skipped".
 */

import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fuzzBeside } from "./fuzz-beside.ts";

/** Of one test: none takes a minute, but a busy machine may take many. */
const LIMIT_MS = 20 * 60_000;
/** More processes than this need more memory than small machines have. */
const WORKERS = Math.min(availableParallelism(), 4);
/** How long each file takes: long ones start first. `npm test -- --update-timings` renews it. */
const TIMINGS = join(import.meta.dir, "test-timings.json");
const SUMMARY_BYTES = 2000; // end of the output, which has bun's counts
const FUZZ_SECONDS = 60;

const isWhole = process.argv.length === 2 && existsSync("scripts/fuzz.ts");
const fuzzing = isWhole ? fuzzBeside(FUZZ_SECONDS) : undefined;

// Continuous integration alone requests it. Tests that need NVRTC are skipped if it comes too late.
const fetching =
  process.env["ADALORA_FETCH_NVRTC"] === "1"
    ? Bun.spawn([process.execPath, "--no-env-file", "--no-install", "scripts/fetch-nvrtc.ts"], {
        stdio: ["ignore", "inherit", "inherit"],
      })
    : undefined;

const run = Bun.spawn(
  [
    process.execPath,
    "--no-env-file",
    "test",
    `--timeout=${LIMIT_MS}`,
    `--parallel=${WORKERS}`,
    "--no-isolate",
    `--timings=${TIMINGS}`,
    ...process.argv.slice(2),
  ],
  {
    env: {
      GOMP_SPINCOUNT: "200", // OpenMP's waiting threads would spin on the cores of other files
      ...(fuzzing === undefined ? {} : { ADALORA_FUZZED_BESIDE: "1" }),
      ...process.env,
      ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}),
    },
    stdio: ["ignore", "inherit", "pipe"],
  },
);
let tail = "";
const decoder = new TextDecoder();
for await (const chunk of run.stderr) {
  process.stderr.write(chunk);
  tail = (tail + decoder.decode(chunk, { stream: true })).slice(-SUMMARY_BYTES);
}
const succeeded = (await run.exited) === 0;
const fuzzed = await fuzzing;
fetching?.kill();
await fetching?.exited; // so that it prints nothing after the counts
if (fuzzed?.succeeded === false) console.error(`\nfuzzing failed:\n${fuzzed.output}`);

// A failed run without a failed test (no tests found, a crash) counts as one failure.
const failed = Math.max(count("fail"), succeeded ? 0 : 1) + (fuzzed?.succeeded === false ? 1 : 0);
const passed = count("pass") + (fuzzed?.succeeded === true ? 1 : 0);
const skipped = count("skip") + count("todo");
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : 0;

function count(what: string): number {
  const plain = Bun.stripANSI(tail);
  return Number(new RegExp(`^\\s*(\\d+) ${what}$`, "m").exec(plain)?.[1] ?? 0);
}
