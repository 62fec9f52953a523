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
import { isAlive, writeAll } from "./atomic.ts";
import { fileError } from "./file-errors.ts";
import type { HubClient, RemoteFile } from "./hub-client.ts";

export interface DownloadProgress {
  readonly file: string;
  readonly received: number;
  readonly total: number;
}

interface Download {
  readonly client: HubClient;
  readonly commit: string;
  readonly file: RemoteFile;
  /** Where the content goes: a name made of its hash. */
  readonly blob: string;
  /** The repository, for messages. */
  readonly where: string;
  /** How long the hub may be silent, in milliseconds. */
  readonly timeout: number;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

// So many answers in a row may bring nothing new.
const MAX_ATTEMPTS = 4;
const READ_CHUNK_BYTES = 1 << 20;

/** A part of a file on disk, with the hash of what is there so far. */
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

  /** Git hashes a small file with its length before it; a large one is known by its plain SHA-256. */
  #newHasher(): Bun.CryptoHasher {
    const { hash, size } = this.#file;
    return hash.length === 64
      ? new Bun.CryptoHasher("sha256")
      : new Bun.CryptoHasher("sha1").update(`blob ${size}\0`);
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

  /** Whether the content is the whole file; the part cannot be continued after this. */
  matches(): boolean {
    fsyncSync(this.#fd);
    return this.#hasher.digest("hex") === this.#file.hash;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const OWN_SUFFIX = `.${process.pid}.incomplete`;

/** Whether nobody writes to this part any more: it was given up, or its process is gone. */
function isAbandoned(suffix: string): boolean {
  if (suffix === ".incomplete") return true;
  const [, pid] = /^\.(\d+)\.incomplete$/.exec(suffix) ?? [];
  return pid !== undefined && !isAlive(Number(pid));
}

/**
 * Takes over what an earlier download left, by renaming it to a name of this process: of two processes that try, one succeeds, so
 * none writes into the other's file.
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
      // Another process was faster.
    }
  }
}

interface ChunkReader {
  read(): Promise<{ value?: Uint8Array | undefined }>;
}

/** The next piece of a body, or an error when none comes in time. */
async function readChunk(reader: ChunkReader, timeout: number): Promise<Uint8Array | undefined> {
  const stalled = Promise.withResolvers<never>();
  const timer = setTimeout(() => stalled.reject(new DOMException("", "TimeoutError")), timeout);
  try {
    const { value } = await Promise.race([reader.read(), stalled.promise]);
    return value;
  } finally {
    clearTimeout(timer);
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
          `is longer than the ${file.size} bytes announced`,
        );
      }
      partial.append(chunk);
      onProgress?.({ file: file.path, received: partial.received, total: file.size });
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Asks for what is missing until the part is whole, going on where a broken answer ended. */
async function downloadRest(partial: PartialFile, download: Download): Promise<void> {
  const { client, commit, file, where } = download;
  for (let failures = 0; partial.received < file.size;) {
    const before = partial.received;
    const response = await client.get(commit, file.path, before);
    const range = response.headers.get("Content-Range");
    // A server that ignores the range sends the file from its start; another range than asked for is of no use.
    const isContinuation =
      response.status === 206 && range?.startsWith(`bytes ${before}-`) === true;
    if (before > 0 && !isContinuation) partial.restart();
    let cause: unknown;
    try {
      if (isContinuation || response.status === 200) await receive(response, partial, download);
      else await response.body?.cancel();
    } catch (error) {
      // The answer broke off on its way; what arrived of it is good.
      if (error instanceof AdaloraError) throw error;
      cause = error;
    }
    failures = partial.received > before ? 0 : failures + 1;
    if (failures < MAX_ATTEMPTS) continue;
    const rule = `${MAX_ATTEMPTS} tries brought nothing after byte ${partial.received} of ${file.size}`;
    const hint = "run again to continue the download";
    throw errors.hubUnreachable(`${where}: ${file.path}`, rule, hint, cause);
  }
}

/**
 * Downloads a file to its blob: continues what an earlier try left, checks size and hash, and only then gives it its name. What a
 * failed try received is kept for the next one; what does not match its hash is thrown away and fetched once more from the start.
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
      "run again; if it stays so, the hub or a mirror holds a damaged file",
    );
  }
}
