import { type FileMetaData, parquetMetadata, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { Trial } from "../io/trial.ts";

/** The rows of a parquet file, with these columns. May loop for ever on a damaged file: try it first. */
export function decodeRows(
  file: ArrayBuffer,
  metadata: FileMetaData,
  columns: readonly string[],
): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({ file, metadata, columns: [...columns], compressors });
}

/** Reads a footer, or a file's columns, and drops them. Throws the library's error. */
export async function tryParquet(
  bytes: Uint8Array<ArrayBuffer>,
  kind: Trial["kind"],
  columns: readonly string[],
): Promise<void> {
  const metadata = parquetMetadata(bytes.buffer);
  if (kind === "parquet columns") await decodeRows(bytes.buffer, metadata, columns);
}
