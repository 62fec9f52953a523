/** Runs `bun test` with the given arguments; the last line is "N passed, N failed[, N skipped]". */

import process from "node:process";

const LIMIT_MS = "120000"; // per test: those that start processes are slow on a busy machine
const SUMMARY_BYTES = 2000; // end of the output, which has bun's counts

const run = Bun.spawn(
  [process.execPath, "--no-env-file", "test", "--timeout", LIMIT_MS, ...process.argv.slice(2)],
  {
    env: { ...process.env, ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}) },
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

// A failed run without a failed test (no tests found, a crash) counts as one failure.
const failed = Math.max(count("fail"), succeeded ? 0 : 1);
const skipped = count("skip") + count("todo");
console.log(
  `${count("pass")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
);
process.exitCode = failed > 0 ? 1 : 0;

function count(what: string): number {
  const plain = Bun.stripANSI(tail);
  return Number(new RegExp(`^\\s*(\\d+) ${what}$`, "m").exec(plain)?.[1] ?? 0);
}
