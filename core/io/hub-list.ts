import { errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { isSafeRelative } from "./shard-index.ts";
import { isSize } from "./stored-tensor.ts";

/** A file of a repository, with its expected size and hash. */
export interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 for a large file (LFS), else git's SHA-1 of the blob; in hexadecimal. */
  readonly hash: string;
}

const MAX_FILES = 1_000_000;
// The longest path that Linux takes.
const MAX_PATH_LENGTH = 4096;

/**
 * The files of a list that comes page by page. Throws an AdaloraError naming `where` for one without
 * an end, and for a path outside the repository.
 */
export async function collectFiles(
  entries: AsyncIterable<ListedFile & { readonly type: string }>,
  where: string,
  milliseconds: number,
): Promise<RemoteFile[]> {
  const deadline = performance.now() + milliseconds;
  const files: RemoteFile[] = [];
  for await (const entry of entries) {
    if (files.length > MAX_FILES || performance.now() > deadline) {
      throw errors.hub(where, "the list of its files does not come to an end");
    }
    if (entry.type === "file") files.push(toRemoteFile(entry, where));
  }
  return files;
}

interface ListedFile {
  readonly path: string;
  readonly size: number;
  readonly oid?: string;
  readonly lfs?: { readonly oid: string; readonly size: number };
}

function toRemoteFile({ path, size, oid, lfs }: ListedFile, where: string): RemoteFile {
  const file = { path, size: lfs?.size ?? size, hash: lfs?.oid ?? oid ?? "" };
  if (typeof path !== "string" || path.length > MAX_PATH_LENGTH || !isSafeRelative(path)) {
    throw errors.hub(where, `a path is outside the repository: ${excerpt(path)}`);
  }
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(file.hash) || !isSize(file.size)) {
    throw errors.hub(`${where}: ${cutText(path)}`, "has no size and checksum");
  }
  return file;
}
