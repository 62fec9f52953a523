import { cliErrors } from "../cli-errors.ts";

/**
 * Runs a process and returns its stdout. Throws E_PROCESS, under `name`, where it fails or is
 * killed.
 */
export async function childOutput(words: readonly string[], name: string): Promise<string> {
  const child = Bun.spawn([...words], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw cliErrors.process(name, err, child.signalCode);
  return out;
}
