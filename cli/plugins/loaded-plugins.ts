import { callbackError } from "../../core/model/guard-plugin.ts";
import type { Family } from "../../core/model/families.ts";

// What is imported stays in the process, so this list is the process's too.
const loaded: Family[] = [];

/** Remembers a plugin that has been imported, so that its failures are not taken for adalora's. */
export function rememberPlugin(family: Family): void {
  loaded.push(family);
}

/** The error as that of the plugin in whose files it happened; as it is if there is none. */
export function ownersError(error: unknown): unknown {
  for (const family of loaded) {
    const owned = callbackError(error, family);
    if (owned !== undefined) return owned;
  }
  return error;
}
