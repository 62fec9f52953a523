import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { userCaches } from "../core/io/user-cache.ts";
import packageJson from "../package.json" with { type: "json" };

/** Root of the checkout. */
export const projectDir = resolve(import.meta.dir, "..");

/** Folder of the libraries that set-up fetches and compiles. */
export const nativeDir = nativeFolder(projectDir);

/**
 * A checkout's or package's folder of native files: .native, or one in the user's cache where this
 * one can't be written. The same rule as find_native's in scripts/bootstrap.sh.
 */
export function nativeFolder(root: string, env: NodeJS.ProcessEnv = process.env): string {
  const own = join(root, ".native");
  if (existsSync(join(own, "ready")) || isWritable(existsSync(own) ? own : root)) return own;
  const [cache] = userCaches(env);
  return cache === undefined ? own : join(cache, "adalora", `package-${packageJson.version}`);
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Folders of 64-bit libraries on Linux, most specific first; never the working directory. */
export function libraryDirs(env: NodeJS.ProcessEnv = process.env): string[] {
  const named = (env["LD_LIBRARY_PATH"] ?? "").split(":").filter((dir) => isAbsolute(dir));
  return [
    ...named,
    "/usr/local/lib/x86_64-linux-gnu",
    "/usr/local/lib64",
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
  ];
}

/** Files in `dirs` whose names match, highest version of each folder first. */
export function findLibraries(name: RegExp, dirs: readonly string[]): string[] {
  return dirs.flatMap((dir) =>
    namesIn(dir)
      .filter((file) => name.test(file))
      .toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }))
      .map((file) => join(dir, file)),
  );
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // no such folder on this system
  }
}
