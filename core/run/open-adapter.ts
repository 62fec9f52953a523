import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { currentDirectory } from "../io/atomic.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import { ADAPTER_CONFIG, adapterFolders, readPeftAdapter } from "../io/peft.ts";
import type { Sources } from "../model/model-files.ts";
import { runErrors } from "./run-errors.ts";
import { runFiles, seedFolders } from "./run-folder.ts";
import { runOf, type Which } from "./run-of.ts";

/** An adapter, and the folder that it was read from. */
export interface AdapterFiles {
  readonly dir: string;
  readonly adapter: PeftAdapter;
}

/**
 * Opens an adapter by its folder, the folder of a run that trained it, or its name on the hub. Throws
 * E_FILE for a folder without one.
 */
export async function openAdapter(
  name: string,
  which: Which,
  sources: Pick<Sources, "adapter">,
): Promise<AdapterFiles> {
  const given = await sources.adapter(name);
  const inRun = (one: Which) =>
    join(given, one === "best" ? runFiles.bestAdapter : runFiles.adapter);
  const holds = (folder: string) => existsSync(join(currentDirectory(folder), ADAPTER_CONFIG));
  if (which === "best" && holds(given)) throw runErrors.noChoice(given, runOf(given));
  const dir = [given, inRun(which)].find(holds);
  if (dir !== undefined) return { dir, adapter: readPeftAdapter(dir) };
  const other = which === "last" ? "best" : "last";
  if (holds(inRun(other))) throw runErrors.otherWeightsOnly(given, which, other);
  if (existsSync(join(given, runFiles.model)))
    throw errors.file(given, "holds a full model, not an adapter", `use --model ${name}`);
  const [seed] = seedFolders(given);
  const [inside] = seed === undefined ? adapterFolders(given) : [];
  if (inside !== undefined)
    throw errors.file(given, "holds adapters in folders", `give one of them, such as ${inside}`);
  throw seed === undefined
    ? errors.file(
        given,
        `holds no ${ADAPTER_CONFIG}`,
        "give the folder of a PEFT adapter or of a run",
      )
    : errors.file(given, "holds runs with several seeds", `give one of them, such as ${seed}`);
}
