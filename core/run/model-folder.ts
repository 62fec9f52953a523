import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { AdaloraError, errors } from "../errors.ts";
import { looksLikeRepo } from "../io/hub-repo.ts";
import type { Sources } from "../model/model-files.ts";
import type { AdapterFiles } from "./open-adapter.ts";
import { runErrors } from "./run-errors.ts";
import { runFiles } from "./run-folder.ts";
import { runOf, type Which } from "./run-of.ts";
import { readSavedConfig } from "./saved-config.ts";

/** Folder of the model called `name`, or of the adapter's base; for a run's folder, its model. */
export async function modelFolder(
  name: string | null,
  adapter: AdapterFiles | undefined,
  which: Which,
  sources: Sources,
): Promise<string> {
  if (name !== null) {
    const dir = await sources.model(name);
    if (!readSavedConfig(dir)) {
      // With an adapter, --which chooses among the adapters.
      if (which === "best" && !adapter) throw runErrors.noChoice(dir, runOf(dir));
      return dir;
    }
    const model = join(dir, which === "best" ? runFiles.bestModel : runFiles.model);
    const other = join(dir, which === "best" ? runFiles.model : runFiles.bestModel);
    if (!existsSync(model) && existsSync(other))
      throw runErrors.otherWeightsOnly(dir, which, which === "best" ? "last" : "best");
    if (existsSync(model) || !existsSync(join(dir, runFiles.adapter))) return model;
    throw errors.file(dir, "holds an adapter, not a full model", `use --adapter ${name}`);
  }
  const base = adapter && baseOf(adapter);
  if (!adapter)
    throw errors.missing(
      "model",
      "use --adapter for an adapter, or --model for a fully fine-tuned model",
    );
  if (!base)
    throw errors.missing("model", "the adapter does not name its base model: give it with --model");
  try {
    return await sources.model(base);
  } catch (error) {
    throw error instanceof AdaloraError ? runErrors.baseModel(adapter.dir, error) : error;
  }
}

// --- internal ---

/**
 * The base model: the folder that the adapter's run was given, or else the name in the adapter's
 * configuration, with the revision that it was trained on.
 */
function baseOf({ dir, adapter: { baseModel, revision } }: AdapterFiles): string | null {
  const ofRun = readSavedConfig(dirname(resolve(dir)))?.model ?? null;
  if (baseModel === null || (ofRun !== null && isAbsolute(ofRun))) return ofRun ?? baseModel;
  const isPinned = revision && looksLikeRepo(baseModel);
  return isPinned && !baseModel.includes("@") ? `${baseModel}@${revision}` : baseModel;
}
