import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { atExit } from "./at-exit.ts";

/** Calls `work` with a new folder in `parent`, which is removed afterwards, a signal included. */
export async function inScratchFolder<T>(
  parent: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(parent, "tmp."));
  // A killed command may still be writing to it.
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const forget = atExit(remove);
  try {
    return await work(folder);
  } finally {
    forget();
    remove();
  }
}
