import { type FileMetaData, parquetMetadata, parquetSchema } from "hyparquet";
import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { describeContent } from "../io/file-errors.ts";
import { isNestedDeeper } from "../io/json-scan.ts";
import { type Trial, trialFault } from "../io/trial.ts";
import { decodeRows } from "./parquet-decode.ts";
import type { Row, Table } from "./table.ts";

/**
 * A parquet file as a table; decodes only the requested columns. Throws E_FILE when it cannot be
 * read. A damaged or hostile file makes the library loop or fill the memory, so the first time that
 * its bytes are seen they are read in a process of its own (`trialFault`).
 */
export async function parquetTable(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Table> {
  if (bytes.length === 0) throw errors.file(name, "the file is empty");
  const content = describeContent(bytes.subarray(0, 64));
  if (content !== undefined) throw errors.file(name, `is not a parquet file: it is ${content}`);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  await tryFirst({ kind: "parquet footer", bytes: footerOf(bytes) }, name);
  const { metadata, columns } = schemaOf(file, name);
  const names = classNamesOf(metadata);
  return {
    name,
    columns,
    header: { noun: "schema", location: name },
    location: (row) => `${name}: row ${row}`,
    read: async (requested) => {
      await tryFirst({ kind: "parquet columns", bytes, columns: requested }, name);
      return readRows(file, metadata, name, requested);
    },
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
    const objects = await decodeRows(file, metadata, columns);
    return objects.map((object, i) => ({
      position: i + 1,
      cells: columns.map((column): unknown => object[column]),
    }));
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

/** Magic, the metadata's length and the metadata: all that is read before the columns are known. */
function footerOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  if (bytes.length < 8) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return bytes.subarray(Math.max(0, bytes.length - 8 - view.getUint32(bytes.length - 8, true)));
}

async function tryFirst(trial: Trial, name: string): Promise<void> {
  const fault = await trialFault(trial);
  if (fault !== undefined) throw unreadable(name, new Error(fault));
}

function schemaOf(file: ArrayBuffer, name: string) {
  try {
    const metadata = parquetMetadata(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    return { metadata, columns };
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

function unreadable(name: string, cause: unknown) {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const rule = `is not a readable parquet file (${cutText(detail, 200)})`;
  return errors.file(name, rule, undefined, cause);
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
    return json === undefined || isNestedDeeper(json, 100) ? undefined : JSON.parse(json);
  } catch {
    return undefined; // optional metadata: without it the integers have no names
  }
}

function property(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}
