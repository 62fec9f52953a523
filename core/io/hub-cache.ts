import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { writeFileAtomic } from "./atomic.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { isCommit, type Repo } from "./hub-repo.ts";
import { readRegular } from "./regular-file.ts";

/**
 * One repository in the cache that all Hugging Face programs share:
 *   blobs/HASH                       the content of each file
 *   refs/REVISION                    the commit that a branch or tag last resolved to
 *   snapshots/COMMIT/PATH            links into blobs
 */
export interface CachedRepo {
  /** The commit that the revision last resolved to; undefined when it never has. */
  readonly commit: string | undefined;
  /** The path of the content with this hash. */
  blob(hash: string): string;
  /** The folder of a commit's files. */
  snapshot(commit: string): string;
  /** Records the commit that the revision resolves to. */
  setCommit(commit: string): void;
  /** Links a blob to its path in the commit's snapshot. */
  link(commit: string, path: string, hash: string): void;
}

function createLink(blob: string, path: string): void {
  const scratch = `${path}.${process.pid}.link`;
  mkdirSync(dirname(path), { recursive: true });
  rmSync(scratch, { force: true });
  try {
    symlinkSync(relative(dirname(path), blob), scratch);
  } catch (error) {
    // A file system without symbolic links gets a copy, as in huggingface_hub.
    if (errorCode(error) !== "EPERM" && errorCode(error) !== "ENOSYS") throw error;
    copyFileSync(blob, scratch);
  }
  renameSync(scratch, path);
}

/** Opens a repository in the cache; creates nothing before the first write. */
export function openCachedRepo(cache: string, repo: Repo): CachedRepo {
  const folder = join(cache, [`${repo.type}s`, ...repo.name.split("/")].join("--"));
  const ref = join(folder, "refs", repo.revision);
  const readRef = () => {
    const commit = existsSync(ref) ? readRegular(ref).toString("utf8", 0, 100).trim() : "";
    return isCommit(commit) ? commit : undefined;
  };
  const snapshot = (commit: string) => join(folder, "snapshots", commit);
  const blob = (hash: string) => join(folder, "blobs", hash);
  return {
    commit: isCommit(repo.revision) ? repo.revision : readRef(),
    blob,
    snapshot,
    setCommit(commit) {
      if (!isCommit(repo.revision)) writeFileAtomic(ref, commit);
    },
    link(commit, path, hash) {
      const target = join(snapshot(commit), path);
      try {
        createLink(blob(hash), target);
      } catch (error) {
        throw fileError(target, error);
      }
    },
  };
}

/** The files below a folder, as sorted paths with "/"; dangling links are left out. */
export function listFolder(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(dir, path), { throwIfNoEntry: false })?.isFile() === true)
    .toSorted();
}
