import { join } from "node:path";
import { userCaches } from "./user-cache.ts";

/**
 * The program's folder in the user's cache: $XDG_CACHE_HOME/adalora, by default ~/.cache/adalora;
 * undefined for a user without a home folder.
 */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const [first] = userCaches(env);
  return first === undefined ? undefined : join(first, "adalora");
}
