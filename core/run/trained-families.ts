import { existsSync } from "node:fs";
import type { Families } from "../model/families.ts";
import type { Sources } from "../model/model-files.ts";

/** The user's choice of a trained model. */
interface Requested {
  /** Files and packages of model families; null: those of the run. */
  readonly plugins: readonly string[] | null;
  /** A folder, else a name on the hub; null where only the model is given. */
  readonly adapter: string | null;
  readonly model: string | null;
}

/**
 * The families for a trained model: with the user's plugins, else with those that the run's
 * config.json in `runFolder` names. What comes from the hub names none.
 */
export function familiesFor(
  { plugins, adapter, model }: Requested,
  saved: readonly string[] | null,
  runFolder: string,
  sources: Sources,
): Promise<Families> {
  if (plugins) return sources.families(plugins);
  const isLocal = existsSync(adapter ?? model ?? "");
  return isLocal ? sources.families(saved, runFolder) : sources.families(null);
}
