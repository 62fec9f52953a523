import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { flagWords } from "./flag-words.ts";

/** Runs this program's `bench --in-process` in a process of its own; returns the object that it prints. */
export async function benchProcess<Result>(
  flags: Readonly<Record<string, string | number | null>>,
  switches: readonly string[],
): Promise<Result> {
  const entry = join(import.meta.dir, "..", "main.ts");
  const self = (await Bun.file(entry).exists()) ? [process.execPath, entry] : [process.execPath];
  const child = Bun.spawn(
    [...self, "bench", "--in-process", "--json", ...flagWords(flags), ...switches],
    { stdout: "pipe", stderr: "pipe" },
  );
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0)
    throw errors.process("adalora bench --in-process", err, child.signalCode);
  // The line is our own, printed by the same version.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(out) as Result;
}
