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
  /** Adds a unit's object file. Does nothing where the folder can't be written to. */
  keep(unit: CompileUnit, path: string): void;
  /** Removes all but the most recently used files. */
  prune(limit?: number): void;
}

/**
 * Opens the object files in `dir`. They are named by a hash of `recipe` (compiler and common flags),
 * all headers in `from`, the source and the unit's own flags, and by a hash of their content, so that
 * a torn file is not used. Safe beside other processes: files appear whole, and are copied at use.
 */
export function openObjectCache(dir: string, from: string, recipe: readonly string[]): ObjectCache {
  const headers = readdirSync(from)
    .filter((name) => name.endsWith(".h"))
    .toSorted();
  const common = JSON.stringify([recipe, headers.map((name) => [name, textOf(from, name)])]);
  const keyOf = ({ source, flags }: CompileUnit) =>
    digest(JSON.stringify([common, source, textOf(from, source), flags]));

  return {
    fetch(unit, path) {
      const key = keyOf(unit);
      const name = filesIn(dir).find((each) => each.startsWith(key) && each.endsWith(".o"));
      const content = name === undefined ? undefined : readWhole(join(dir, name));
      if (name === undefined || content === undefined) return false;
      if (name !== nameOf(key, content)) return false;
      writeFileSync(path, content);
      return true;
    },
    keep(unit, path) {
      try {
        const content = readFileSync(path);
        const file = join(dir, nameOf(keyOf(unit), content));
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
  for (const { path } of [...objects.slice(limit), ...stale]) rmSync(path, { force: true });
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

const textOf = (dir: string, name: string) => readFileSync(join(dir, name), "utf8");
const nameOf = (key: string, content: Uint8Array) => `${key}-${digest(content)}.o`;
const digest = (content: string | Uint8Array) =>
  createHash("sha256").update(content).digest("hex").slice(0, 24);
