import { type Stats, statSync } from "node:fs";
import { runErrors } from "./run-errors.ts";

/**
 * Remembers files that stay mapped while a run uses them. The result throws E_FILE if one of them
 * has been changed in place since; a file that was deleted or replaced by another is still intact
 * in the mapping.
 */
export function watchFiles(paths: readonly string[]): () => void {
  const before = paths.map((path) => [path, statSync(path)] as const);
  return () => {
    for (const [path, stats] of before) {
      const now = statSync(path, { throwIfNoEntry: false });
      if (!now || !isSame(stats, now)) continue;
      if (now.size !== stats.size || now.mtimeMs !== stats.mtimeMs)
        throw runErrors.changedFile(path);
    }
  };
}

/** Remembers a run's folder. The result throws E_OUT if it has been moved or deleted since. */
export function watchFolder(path: string): () => void {
  const before = statSync(path);
  return () => {
    const now = statSync(path, { throwIfNoEntry: false });
    if (!now || !isSame(before, now)) throw runErrors.folderGone(path);
  };
}

// --- internal ---

const isSame = (a: Stats, b: Stats) => a.ino === b.ino && a.dev === b.dev;
