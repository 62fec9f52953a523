import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../core/errors.ts";
import { currentDirectory } from "../core/io/atomic.ts";
import { ADAPTER_CONFIG } from "../core/io/peft.ts";
import { isFolder } from "../core/io/regular-file.ts";
import { runFiles } from "../core/run/run-folder.ts";

interface AdapterChoice {
  readonly adapter: string | null;
  /** The other arguments. */
  readonly words: readonly string[];
}

/**
 * The adapter that a command's first argument names: a folder of an adapter or of a run. Other
 * arguments are left as they are. Throws E_CONFIG if --adapter is given too.
 */
export function adapterArgument(words: readonly string[], adapter: string | null): AdapterChoice {
  const [first, ...rest] = words;
  if (first === undefined || !holdsAdapter(first)) return { adapter, words };
  if (adapter !== null) throw errors.alternatives(first, "--adapter");
  return { adapter: first, words: rest };
}

// --- internal ---

function holdsAdapter(path: string): boolean {
  if (!isFolder(path)) return false;
  const folders = [path, join(path, runFiles.adapter), join(path, runFiles.bestAdapter)];
  return folders.some((folder) => existsSync(join(currentDirectory(folder), ADAPTER_CONFIG)));
}
