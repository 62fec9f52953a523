import { readdirSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";

/** Root of the checkout. */
export const projectDir = resolve(import.meta.dir, "..");

/** Folder of the libraries that set-up fetches and compiles. */
export const nativeDir = join(projectDir, ".native");

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
