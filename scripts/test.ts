/**
 * Runs the test files whose paths contain one of the arguments, or all of them, in several
 * processes at a time; with flags of `bun test` among the arguments, in one. The last line printed
 * counts: "N passed, N failed, N skipped".
 */

import { availableParallelism } from "node:os";
import process from "node:process";
import { testFiles, testUnits } from "./test-units.ts";

/** Of one test: none takes a minute, but a machine may be busy, and start processes slowly. */
const LIMIT_MS = String(20 * 60_000);
/** More processes than this would need more memory than small machines have. */
const MOST_WORKERS = 4;

interface Counts {
  readonly pass: number;
  readonly fail: number;
  readonly skip: number;
  readonly failures: readonly string[];
}

const args = process.argv.slice(2);
const files = args.some((arg) => arg.startsWith("-")) ? [] : testFiles(args);
const units = files.length === 0 ? [args] : testUnits(files).map(exactPaths);
const workers = Math.min(availableParallelism(), MOST_WORKERS, units.length);
const results = await runAll();

const total = (key: "pass" | "fail" | "skip") => results.reduce((sum, one) => sum + one[key], 0);
const failures = results.flatMap((one) => one.failures);
if (workers > 1 && failures.length > 0) console.log(["failed:", ...failures].join("\n"));
const skipped = total("skip");
console.log(
  `${total("pass")} passed, ${total("fail")} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
);
process.exitCode = total("fail") > 0 ? 1 : 0;

/** `bun test` takes a path that starts so as that file, and others as parts of names. */
function exactPaths(paths: readonly string[]): string[] {
  return paths.map((path) => `./${path}`);
}

async function runAll(): Promise<Counts[]> {
  const waiting = [...units];
  const done: Counts[] = [];
  const work = async () => {
    for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift())
      done.push(await runUnit(unit));
  };
  await Promise.all(Array.from({ length: workers }, work));
  return done;
}

/** Runs one process of tests; shows its output as it comes, or at its end when others run too. */
async function runUnit(unit: readonly string[]): Promise<Counts> {
  const run = Bun.spawn(
    [process.execPath, "--no-env-file", "test", "--timeout", LIMIT_MS, ...unit],
    { env: environment(), stdio: ["ignore", "pipe", "pipe"] },
  );
  const held: (() => void)[] = [];
  let text = "";
  const listen = async (from: ReadableStream<Uint8Array>, to: NodeJS.WriteStream) => {
    const decoder = new TextDecoder();
    for await (const chunk of from) {
      text += decoder.decode(chunk, { stream: true });
      if (workers === 1) to.write(chunk);
      else held.push(() => to.write(chunk));
    }
  };
  await Promise.all([listen(run.stdout, process.stdout), listen(run.stderr, process.stderr)]);
  const succeeded = (await run.exited) === 0;
  for (const show of held) show();
  return counts(Bun.stripANSI(text), succeeded);
}

function environment(): NodeJS.ProcessEnv {
  return {
    ...(workers > 1 ? { GOMP_SPINCOUNT: "200" } : {}), // waiting threads spin on others' cores
    ...process.env,
    ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}),
  };
}

/** Bun's own counts at the end of its output. A run that failed without a failed test is one. */
function counts(text: string, succeeded: boolean): Counts {
  const count = (what: string) =>
    Number([...text.matchAll(new RegExp(`^\\s*(\\d+) ${what}$`, "gm"))].at(-1)?.[1] ?? 0);
  return {
    pass: count("pass"),
    fail: Math.max(count("fail"), succeeded ? 0 : 1),
    skip: count("skip") + count("todo"),
    failures: [...new Set(text.match(/^\(fail\) .*$/gm))],
  };
}
