import { atExit } from "./at-exit.ts";

/** The failure of a program that is not installed. */
export const NO_COMMAND = "command not found";

const LIMIT_MS = 100_000;

/**
 * Runs a command silently, at most `limit` milliseconds; returns its last error if it fails. Its
 * whole process group is killed where it takes longer, or this process ends before it.
 */
export async function runSilently(
  command: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
  limit = LIMIT_MS,
): Promise<string | undefined> {
  let child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  try {
    child = Bun.spawn([...command], {
      cwd,
      env,
      stdio: ["ignore", "ignore", "pipe"],
      detached: true, // a group of its own
    });
  } catch {
    return NO_COMMAND;
  }
  let isLate = false;
  const forget = atExit(() => killGroup(child.pid));
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child.pid);
  }, limit);
  try {
    const lines = (await new Response(child.stderr).text()).trim().split("\n");
    if ((await child.exited) === 0) return undefined;
    if (isLate) return `timed out after ${limit / 1000} s`;
    if (child.signalCode !== null) return `ended by ${child.signalCode}`;
    return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? "";
  } finally {
    clearTimeout(timer);
    forget();
  }
}

function killGroup(pid: number) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // all of it has ended
  }
}
