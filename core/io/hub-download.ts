import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { AdaloraError, errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { isAlive, writeAll } from "./atomic.ts";
import { fileError } from "./file-errors.ts";
import { readChunk } from "./hub-body.ts";
import type { HubClient } from "./hub-client.ts";
import { newContentHasher } from "./hub-hash.ts";
import type { RemoteFile } from "./hub-list.ts";

/** Progress of one file, in bytes. */
export interface DownloadProgress {
  readonly file: string;
  readonly received: number;
  readonly total: number;
}

/** One file to download, with its target. */
interface Download {
  readonly client: HubClient;
  readonly commit: string;
  readonly file: RemoteFile;
  /** The target path, named after the content's hash. */
  readonly blob: string;
  /** The repository, for messages. */
  readonly where: string;
  /** Longest time without data, in milliseconds. */
  readonly timeout: number;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

// Responses in a row that may bring no new bytes.
const MAX_ATTEMPTS = 4;
const READ_CHUNK_BYTES = 1 << 20;

/** A partly downloaded file, with the running hash of its content. */
class PartialFile {
  received = 0;
  readonly path: string;
  readonly #fd: number;
  readonly #file: RemoteFile;
  #hasher: Bun.CryptoHasher;

  constructor(path: string, file: RemoteFile) {
    this.path = path;
    this.#file = file;
    this.#fd = openSync(path, existsSync(path) ? "r+" : "w+");
    this.#hasher = this.#newHasher();
    this.#hashExisting();
  }

  #newHasher(): Bun.CryptoHasher {
    return newContentHasher(this.#file.hash, this.#file.size);
  }

  #hashExisting(): void {
    const buffer = new Uint8Array(READ_CHUNK_BYTES);
    for (;;) {
      const count = readSync(this.#fd, buffer, 0, READ_CHUNK_BYTES, this.received);
      if (count === 0) break;
      this.#hasher.update(buffer.subarray(0, count));
      this.received += count;
    }
  }

  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.received = 0;
    this.#hasher = this.#newHasher();
  }

  append(bytes: Uint8Array): void {
    try {
      writeAll(this.#fd, bytes, this.received);
    } catch (error) {
      throw fileError(this.path, error);
    }
    this.#hasher.update(bytes);
    this.received += bytes.length;
  }

  /** Whether the content has the expected hash; nothing can be appended after this call. */
  matches(): boolean {
    fsyncSync(this.#fd);
    return this.#hasher.digest("hex") === this.#file.hash;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const OWN_SUFFIX = `.${process.pid}.incomplete`;

/**
 * Whether no process writes this partial file any more: its download failed, or its process is
 * gone.
 */
function isAbandoned(suffix: string): boolean {
  if (suffix === ".incomplete") return true;
  const [, pid] = /^\.(\d+)\.incomplete$/.exec(suffix) ?? [];
  return pid !== undefined && !isAlive(Number(pid));
}

/**
 * Adopts the partial file of an earlier download by renaming it to this process's name. Of two
 * processes that try, one succeeds, so neither writes to the other's file.
 */
function adoptPartialFile(blob: string): void {
  const folder = dirname(blob);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(basename(blob)) || !isAbandoned(name.slice(basename(blob).length)))
      continue;
    try {
      renameSync(join(folder, name), blob + OWN_SUFFIX);
      return;
    } catch {
      // Another process renamed it first.
    }
  }
}

async function receive(
  response: Response,
  partial: PartialFile,
  download: Download,
): Promise<void> {
  const { file, where, timeout, onProgress } = download;
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const chunk = await readChunk(reader, timeout);
      if (chunk === undefined) return;
      if (partial.received + chunk.length > file.size) {
        throw errors.hub(
          `${where}: ${file.path}`,
          `is longer than the announced ${file.size} bytes`,
        );
      }
      partial.append(chunk);
      onProgress?.({ file: file.path, received: partial.received, total: file.size });
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Refuses a response that announces another length of the whole file than the list of files. */
function checkLength(
  response: Response,
  range: string | undefined,
  { file, where }: Download,
): void {
  const isWhole = response.status === 200 && !response.headers.has("Content-Encoding");
  const length = isWhole ? response.headers.get("Content-Length") : undefined;
  const total = range === undefined ? length : /\/(\d+)$/.exec(range)?.[1];
  if (total === undefined || total === null || Number(total) === file.size) return;
  const rule = `the server has ${cutText(total, 20)} bytes of it, its list says ${file.size}`;
  throw errors.hub(`${where}: ${file.path}`, rule, "run again; the file may just have changed");
}

/**
 * Requests the missing bytes until the file is complete, resuming where an interrupted response
 * ended.
 */
async function downloadRest(partial: PartialFile, download: Download): Promise<void> {
  const { client, commit, file, where } = download;
  for (let failures = 0; partial.received < file.size;) {
    const before = partial.received;
    const response = await client.get(commit, file.path, before);
    const range = response.headers.get("Content-Range");
    // A server that ignores the range sends the whole file; any other range is useless.
    const isContinuation =
      response.status === 206 && range?.startsWith(`bytes ${before}-`) === true;
    if (before > 0 && !isContinuation) partial.restart();
    checkLength(response, isContinuation ? range : undefined, download);
    let cause: unknown;
    try {
      if (isContinuation || response.status === 200) await receive(response, partial, download);
      else await response.body?.cancel();
    } catch (error) {
      // The connection broke; the bytes received so far are good.
      if (error instanceof AdaloraError) throw error;
      cause = error;
    }
    failures = partial.received > before ? 0 : failures + 1;
    if (failures < MAX_ATTEMPTS) continue;
    const rule = `${MAX_ATTEMPTS} attempts in a row received nothing after byte ${partial.received} of ${file.size}`;
    const hint = "run again to continue the download";
    throw errors.hubUnreachable(`${where}: ${file.path}`, rule, hint, cause);
  }
}

/**
 * Downloads a file to its blob: resumes an earlier attempt, checks size and hash, then renames it
 * into place. Keeps what a failed attempt received for the next one; content that does not match
 * its hash is deleted and downloaded once more from the start.
 */
export async function downloadBlob(download: Download): Promise<void> {
  const { blob, file, where } = download;
  mkdirSync(dirname(blob), { recursive: true });
  adoptPartialFile(blob);
  for (let fromStart = !existsSync(blob + OWN_SUFFIX); ; fromStart = true) {
    const partial = new PartialFile(blob + OWN_SUFFIX, file);
    try {
      await downloadRest(partial, download);
      if (partial.matches()) {
        renameSync(partial.path, blob);
        return;
      }
      rmSync(partial.path);
    } catch (error) {
      renameSync(partial.path, `${blob}.incomplete`);
      throw error;
    } finally {
      partial.close();
    }
    if (!fromStart) continue;
    throw errors.hub(
      `${where}: ${file.path}`,
      `does not match its checksum ${file.hash}`,
      "run again; if it still fails, the hub or mirror holds a damaged file",
    );
  }
}
