import { existsSync } from "node:fs";
import type { Families } from "../model/families.ts";
import type { Sources } from "../model/model-files.ts";

/** The user's choice of a trained model. */
interface Requested {
  /** Files and packages of model families; null: those of the run. */
  readonly plugins: readonly string[] | null;
  /** The adapter or model: a folder, else a name on the hub. */
  readonly trained: string | null;
}

/**
 * The families for a trained model: with the user's plugins, else with those that the run's
 * config.json in `runFolder` names. What comes from the hub names none.
 */
export function familiesFor(
  { plugins, trained }: Requested,
  saved: readonly string[] | null,
  runFolder: string,
  sources: Sources,
): Promise<Families> {
  if (plugins) return sources.families(plugins);
  return existsSync(trained ?? "") ? sources.families(saved, runFolder) : sources.families(null);
}
