import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../core/errors.ts";
import { currentDirectory } from "../core/io/atomic.ts";
import { ADAPTER_CONFIG } from "../core/io/peft.ts";
import { isFolder } from "../core/io/regular-file.ts";
import { runFiles, seedFolders } from "../core/run/run-folder.ts";
import { readSavedConfig } from "../core/run/saved-config.ts";

/** The trained model that a command line names. */
export interface TrainedChoice {
  readonly adapter: string | null;
  readonly model: string | null;
  /** The other arguments. */
  readonly words: readonly string[];
}

/**
 * The trained model that a command's first argument names: the folder of an adapter or of a run,
 * whose method may be one without adapters. Other arguments are left as they are. Throws E_CONFIG
 * if the flag of the same meaning is given too.
 */
export function trainedArgument(
  words: readonly string[],
  { adapter, model }: Pick<TrainedChoice, "adapter" | "model">,
): TrainedChoice {
  const [first, ...rest] = words;
  if (first === undefined || !isFolder(first)) return { adapter, model, words };
  if (holdsAdapter(first)) {
    if (adapter !== null) throw errors.alternatives(first, "--adapter");
    return { adapter: first, model, words: rest };
  }
  if (!holdsModel(first)) return { adapter, model, words };
  if (model !== null) throw errors.alternatives(first, "--model");
  return { adapter, model: first, words: rest };
}

// --- internal ---

/** Also the folder of several seeds' runs: the error about it names one of them. */
function holdsAdapter(path: string): boolean {
  if (seedFolders(path).length > 0) return true;
  const folders = [path, join(path, runFiles.adapter), join(path, runFiles.bestAdapter)];
  return folders.some((folder) => existsSync(join(currentDirectory(folder), ADAPTER_CONFIG)));
}

/** Whether a folder is that of a run that saved its whole model. */
function holdsModel(path: string): boolean {
  const folders = [runFiles.model, runFiles.bestModel].map((name) => join(path, name));
  return folders.some(existsSync) && readSavedConfig(path) !== undefined;
}
