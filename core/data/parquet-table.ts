import { type FileMetaData, parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { errors } from "../errors.ts";
import { describeContent } from "../io/file-errors.ts";
import type { Row, Table } from "./table.ts";

/**
 * A parquet file as a table; decodes only the requested columns. Throws E_FILE when it cannot be
 * read.
 */
export function parquetTable(bytes: Uint8Array<ArrayBuffer>, name: string): Table {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const metadata = metadataOf(file, name);
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  const names = classNamesOf(metadata);
  return {
    name,
    columns,
    header: { noun: "schema", location: name },
    location: (row) => `${name}: row ${row}`,
    read: (requested) => readRows(file, metadata, name, requested),
    classNames: (column) => names.get(column),
  };
}

async function readRows(
  file: ArrayBuffer,
  metadata: FileMetaData,
  name: string,
  columns: readonly string[],
): Promise<Row[]> {
  try {
    const objects = await parquetReadObjects({
      file,
      metadata,
      columns: [...columns],
      compressors,
    });
    return objects.map((object, i) => ({
      position: i + 1,
      cells: columns.map((column): unknown => object[column]),
    }));
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

function metadataOf(file: ArrayBuffer, name: string): FileMetaData {
  if (file.byteLength === 0) throw errors.file(name, "the file is empty");
  try {
    return parquetMetadata(file);
  } catch (cause) {
    const content = describeContent(new Uint8Array(file, 0, Math.min(file.byteLength, 64)));
    if (content === undefined) throw unreadable(name, cause);
    throw errors.file(name, `is not a parquet file: it is ${content}`, undefined, cause);
  }
}

function unreadable(name: string, cause: unknown) {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return errors.file(name, `is not a readable parquet file (${detail})`, undefined, cause);
}

/** The class names that the `datasets` library records for integer columns. */
function classNamesOf(metadata: FileMetaData): ReadonlyMap<string, readonly string[]> {
  const entry = metadata.key_value_metadata?.find(({ key }) => key === "huggingface");
  const found = new Map<string, readonly string[]>();
  const features = property(property(parseJson(entry?.value), "info"), "features");
  if (typeof features !== "object" || features === null) return found;
  for (const [column, feature] of Object.entries(features)) {
    const names = property(feature, "names");
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) {
      found.set(column, names);
    }
  }
  return found;
}

function parseJson(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json);
  } catch {
    return undefined; // optional metadata: without it the integers have no names
  }
}

function property(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}
