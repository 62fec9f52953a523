import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Folders for a user's caches, preferred first: $XDG_CACHE_HOME, then ~/.cache. Empty for a user
 * without a home folder. Ignores paths that are not absolute, as the XDG specification asks.
 */
export function userCaches(
  env: Environment = process.env,
  registeredHome = homeInUserDatabase,
): string[] {
  const home = homeFolder(env, registeredHome);
  const caches = [env["XDG_CACHE_HOME"], home === undefined ? undefined : join(home, ".cache")];
  return caches.filter((path) => path !== undefined).filter(isAbsolute);
}

/** The user's home folder: $HOME, else the one in the user database; undefined without either. */
export function homeFolder(
  env: Environment = process.env,
  registeredHome = homeInUserDatabase,
): string | undefined {
  const { HOME: home } = env;
  return home === undefined || home === "" ? registeredHome() : home;
}

function homeInUserDatabase(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined; // a user id without an entry, as in containers
  }
}
