import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../core/io/atomic.ts";

/** Compiled kernels on disk, a file each, which processes may share. */
export interface ImageCache {
  /** An image that was kept; undefined where there is none that can be used. */
  read(name: string): Uint8Array | undefined;
  /** Keeps an image where the folder can be written; the next start compiles again where not. */
  keep(name: string, image: Uint8Array): void;
  /** Removes images that no start has used lately; those that this cache has read or kept stay. */
  prune(): void;
}

const DAY_MS = 24 * 3600 * 1000;

/** An image that no start has used for so long is removed. */
const MOST_UNUSED_MS = 30 * DAY_MS;

/** Bytes of all images, beyond which those that were used least recently are removed. */
const MOST_BYTES = 64 * 2 ** 20;

/** A file's time is its last use, to a day: a start writes nothing if it has used the file before. */
const USE_MS = DAY_MS;

/** The first bytes of a file: a digest of the rest and of its name. */
const DIGEST_BYTES = 32;

/** Names of files that `keep` writes, and of those that a killed process was writing. */
const [IMAGE, SCRATCH] = [/^[a-z\d-]+-[\da-f]{32}$/, /^\.[a-z\d-]+-[\da-f]{32}\.tmp-\d+$/];

/** Opens a folder of images, which need not exist. Undefined: nothing is kept. */
export function imageCache(folder: string | undefined, now = Date.now()): ImageCache {
  if (folder === undefined) return { read: () => undefined, keep() {}, prune() {} };
  const used = new Set<string>();
  return {
    read(name) {
      const image = readImage(folder, name, now);
      if (image !== undefined) used.add(name);
      return image;
    },
    keep(name, image) {
      used.add(name);
      unlessRefused(() => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileAtomic(join(folder, name), [digestOf(name, image), image]);
      });
    },
    prune() {
      const files = filesIn(folder).filter(({ name }) => !used.has(name));
      // Another process may need an image at the same time: it has read it, or compiles it again.
      for (const { name } of outdated(files, sizeOf(folder, used), now))
        unlessRefused(() => rmSync(join(folder, name)));
    },
  };
}

// --- internal ---

function readImage(folder: string, name: string, now: number): Uint8Array | undefined {
  const file = join(folder, name);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    return undefined; // not compiled yet, or another user's
  }
  const image = bytes.subarray(DIGEST_BYTES);
  if (!digestOf(name, image).equals(bytes.subarray(0, DIGEST_BYTES))) return undefined;
  unlessRefused(() => {
    if (now - statSync(file).mtimeMs > USE_MS) utimesSync(file, now / 1000, now / 1000);
  });
  const copy = new Uint8Array(new ArrayBuffer(image.length));
  copy.set(image);
  return copy;
}

/** A damaged image, and one under another's name, are compiled anew. */
const digestOf = (name: string, image: Uint8Array) =>
  createHash("sha256").update(name).update(image).digest();

/** Changes the folder where that is possible: a disk may be full, read-only or another user's. */
function unlessRefused(change: () => void) {
  try {
    change();
  } catch {
    // the next start does without
  }
}

interface File {
  readonly name: string;
  readonly bytes: number;
  /** When it was last used, in milliseconds. */
  readonly time: number;
}

function filesIn(folder: string): File[] {
  return namesIn(folder)
    .filter((name) => IMAGE.test(name) || SCRATCH.test(name))
    .flatMap((name) => fileAt(folder, name) ?? []);
}

function fileAt(folder: string, name: string): File | undefined {
  try {
    const { size, mtimeMs } = statSync(join(folder, name));
    return { name, bytes: size, time: mtimeMs };
  } catch {
    return undefined; // another process has removed it
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // the folder could not be made
  }
}

const sizeOf = (folder: string, names: ReadonlySet<string>) =>
  [...names].reduce((sum, name) => sum + (fileAt(folder, name)?.bytes ?? 0), 0);

/** The files to remove, where others of `bytes` stay. One that was used within a day is not one. */
function outdated(files: readonly File[], bytes: number, now: number): File[] {
  let total = bytes;
  return files
    .toSorted((a, b) => b.time - a.time)
    .filter(({ name, bytes: own, time }) => {
      const unused = now - time;
      total += own;
      if (unused <= USE_MS) return false;
      return SCRATCH.test(name) || unused > MOST_UNUSED_MS || total > MOST_BYTES;
    });
}
