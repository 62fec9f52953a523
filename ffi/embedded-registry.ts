import { readFileSync } from "node:fs";
import { invariant } from "../core/errors.ts";

/** A file embedded in a released executable. */
export interface EmbeddedFile {
  /** Its path below the folder of native files. */
  readonly name: string;
  /** Its path inside the executable. */
  readonly path: string;
  /** Size after decompression. */
  readonly bytes: number;
  readonly compressed: boolean;
}

/** The files embedded in a released executable. */
export interface Embedded {
  /** Version and content hash: executables with different contents use different folders. */
  readonly id: string;
  readonly files: readonly EmbeddedFile[];
}

let embedded: Embedded | undefined;

/** Registers the files embedded in a released executable. Reads none of them. */
export function registerEmbeddedFiles(files: Embedded) {
  embedded = files;
}

/** The files of a released executable; undefined in a checkout or a package. */
export const embeddedFiles = () => embedded;

/** Whether this is a released executable, without sources and without need of a compiler. */
export const isExecutable = () => embedded !== undefined;

/** The bytes of a registered file, decompressed. */
export function readEmbedded(name: string): Uint8Array {
  const file = embedded?.files.find((one) => one.name === name);
  invariant(file !== undefined, () => `the executable has no ${name}`);
  return readEmbeddedFile(file);
}

/** The bytes of an embedded file, decompressed. */
export function readEmbeddedFile(file: EmbeddedFile): Uint8Array {
  const raw = readFileSync(file.path);
  const bytes = file.compressed ? Bun.zstdDecompressSync(raw) : raw;
  invariant(bytes.length === file.bytes, () => `${file.name} is incomplete in the executable`);
  return bytes;
}
