import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { CompileUnit } from "./compiler.ts";

/** All levels, a sanitized one and the last edits of each; about 10 MB. */
const LIMIT = 256;
const STALE_MS = 3_600_000; // parts that killed processes left

/** Object files of earlier builds. */
export interface ObjectCache {
  /** Copies a unit's object file to `path`; false if there is none, or it is damaged. */
  fetch(unit: CompileUnit, path: string): boolean;
  /**
   * Adds the object file of a unit that `fetch` did not find, unless its source or a header has
   * changed since then. Does nothing where the folder can't be written to.
   */
  keep(unit: CompileUnit, path: string): void;
  /** Removes all but the most recently used files. */
  prune(limit?: number): void;
}

/**
 * Opens the object files in `dir`. They are named by a hash of `recipe` (compiler and common
 * flags), all headers in `from`, the source and the unit's own flags, and by a hash of their
 * content, so that a torn file is not used. Safe beside other processes: files appear whole, and
 * are copied at use.
 */
export function openObjectCache(dir: string, from: string, recipe: readonly string[]): ObjectCache {
  const headers = hashHeaders(from);
  const keyOf = ({ source, flags }: CompileUnit, common = headers) =>
    digest(JSON.stringify([recipe, common, source, textOf(from, source), flags]));
  const missing = new Map<CompileUnit, string>();

  return {
    fetch(unit, path) {
      const key = keyOf(unit);
      for (const name of filesIn(dir).filter((each) => each.startsWith(key))) {
        const content = readWhole(join(dir, name));
        if (content === undefined || name !== nameOf(key, content)) continue;
        writeFileSync(path, content);
        return true;
      }
      missing.set(unit, key);
      return false;
    },
    keep(unit, path) {
      try {
        const key = keyOf(unit, hashHeaders(from));
        if (key !== missing.get(unit)) return; // which text was compiled is not known
        const content = readFileSync(path);
        const file = join(dir, nameOf(key, content));
        mkdirSync(dir, { recursive: true });
        writeFileSync(`${file}.${process.pid}`, content);
        renameSync(`${file}.${process.pid}`, file);
      } catch {
        // the library does not depend on it
      }
    },
    prune: (limit = LIMIT) => prune(dir, limit),
  };
}

function prune(dir: string, limit: number): void {
  const byAge = filesIn(dir)
    .map((name) => ({ name, path: join(dir, name) }))
    .map((file) => ({ ...file, time: statSync(file.path, { throwIfNoEntry: false })?.mtimeMs }))
    .flatMap(({ time, ...file }) => (time === undefined ? [] : [{ ...file, time }]))
    .toSorted((a, b) => b.time - a.time);
  const objects = byAge.filter(({ name }) => name.endsWith(".o"));
  const stale = byAge.filter(
    ({ name, time }) => !name.endsWith(".o") && Date.now() - time > STALE_MS,
  );
  try {
    for (const { path } of [...objects.slice(limit), ...stale]) rmSync(path, { force: true });
  } catch {
    // a folder that can't be written to
  }
}

/** The file's content, which thereby counts as used; undefined if another process has removed it. */
function readWhole(path: string): Buffer | undefined {
  try {
    const now = new Date();
    utimesSync(path, now, now);
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // nothing was compiled yet
  }
}

function hashHeaders(dir: string): string {
  const names = readdirSync(dir).filter((name) => name.endsWith(".h"));
  return digest(JSON.stringify(names.toSorted().map((name) => [name, textOf(dir, name)])));
}

const textOf = (dir: string, name: string) => readFileSync(join(dir, name), "utf8");
const nameOf = (key: string, content: Uint8Array) => `${key}-${digest(content)}.o`;
const digest = (content: string | Uint8Array) =>
  createHash("sha256").update(content).digest("hex").slice(0, 24);
