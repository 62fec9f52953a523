import { dirname, resolve } from "node:path";
import { readSavedConfig } from "./saved-config.ts";

/** The weights of a run: of its last step, or of its best evaluation. */
export type Which = "last" | "best";

/** The run's folder that a folder of weights lies in; undefined if it lies in none. */
export function runOf(dir: string): string | undefined {
  const parent = dirname(resolve(dir));
  return readSavedConfig(parent) && parent;
}
