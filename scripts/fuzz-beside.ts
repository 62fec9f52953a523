/** Fuzzing beside the tests, in the processor time that they leave. */
import { availableParallelism } from "node:os";
import process from "node:process";

/** How fuzzing ended. */
export interface Fuzzed {
  readonly succeeded: boolean;
  /** The figures of each reader, and the findings. */
  readonly output: string;
}

/**
 * Fuzzes all readers for some seconds of their own, several at a time.
 *
 * At the lowest priority it uses the moments in which tests wait for a process, a disk or each
 * other, and delays none: what a full minute costs is the part that those moments could not hold,
 * which runs after the tests on all cores. In the tests themselves it would cost the whole minute.
 */
export async function fuzzBeside(seconds: number): Promise<Fuzzed> {
  const nice = Bun.which("nice") === null ? [] : ["nice", "-n", "19"];
  const parallel = String(Math.min(availableParallelism(), 4));
  const flags = ["--seconds", String(seconds), "--seed", "2", "--parallel", parallel];
  const program = [process.execPath, "--no-env-file", "--no-install", "scripts/fuzz.ts"];
  const child = Bun.spawn([...nice, ...program, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  const stop = () => child.kill("SIGKILL");
  process.once("exit", stop);
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const [stdout, stderr] = await texts;
  const succeeded = (await child.exited) === 0;
  process.off("exit", stop);
  return { succeeded, output: stdout + stderr };
}
