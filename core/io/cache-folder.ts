import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** The user's cache folder: $XDG_CACHE_HOME/adalora, by default ~/.cache/adalora. */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const configured = env["XDG_CACHE_HOME"];
  // The XDG specification: ignore a path that is not absolute.
  const isUsable = configured !== undefined && isAbsolute(configured);
  return join(isUsable ? configured : join(env["HOME"] ?? homedir(), ".cache"), "adalora");
}
