/** The failure of a program that is not installed. */
export const NO_COMMAND = "command not found";

const LIMIT_MS = 100_000;

/** Runs a command silently, at most `limit` milliseconds; returns its last error if it fails. */
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
      timeout: limit,
    });
  } catch {
    return NO_COMMAND;
  }
  const lines = (await new Response(child.stderr).text()).trim().split("\n");
  if ((await child.exited) === 0) return undefined;
  if (child.signalCode !== null) return `timed out after ${limit / 1000} s`;
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? "";
}
