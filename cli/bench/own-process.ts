import { join } from "node:path";
import { childOutput } from "./child-output.ts";
import { flagWords } from "./flag-words.ts";

/** Runs this program's `bench --in-process` in a process of its own; returns the object that it prints. */
export async function benchProcess<Result>(
  flags: Readonly<Record<string, string | number | null>>,
  switches: readonly string[],
): Promise<Result> {
  const entry = join(import.meta.dir, "..", "main.ts");
  const self = (await Bun.file(entry).exists()) ? [process.execPath, entry] : [process.execPath];
  const words = [...self, "bench", "--in-process", "--json", ...flagWords(flags), ...switches];
  const out = await childOutput(words, "adalora bench --in-process");
  // The line is our own, printed by the same version.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(out) as Result;
}
