import { join } from "node:path";
import { childOutput } from "./child-output.ts";
import { flagWords } from "./flag-words.ts";

/** Runs `bench --in-process` of this program in a new process and returns the object it prints. */
export async function benchProcess<Result>(
  flags: Readonly<Record<string, string | number | null>>,
  switches: readonly string[],
): Promise<Result> {
  const entry = join(import.meta.dir, "..", "main.ts");
  const self = (await Bun.file(entry).exists()) ? [process.execPath, entry] : [process.execPath];
  const words = [...self, "bench", "--in-process", "--json", ...flagWords(flags), ...switches];
  const out = await childOutput(words, "adalora bench --in-process");
  // The same version of this program printed the line.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(out) as Result;
}
