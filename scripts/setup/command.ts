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
  let pid: number | undefined;
  const forget = atExit(() => killGroup(pid)); // a signal may come as soon as the command runs
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(pid);
  }, limit);
  try {
    const child = startGroup(command, cwd, env);
    if (child === undefined) return NO_COMMAND;
    ({ pid } = child);
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

// --- internal ---

/** Starts a command in a process group of its own; undefined where there is no such program. */
function startGroup(command: readonly string[], cwd: string, env: NodeJS.ProcessEnv) {
  try {
    const stdio: ["ignore", "ignore", "pipe"] = ["ignore", "ignore", "pipe"];
    return Bun.spawn([...command], { cwd, env, stdio, detached: true });
  } catch {
    return undefined;
  }
}

function killGroup(pid: number | undefined) {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // all of it has ended
  }
}
