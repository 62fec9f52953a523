import type { CudaBuffer } from "../buffer.ts";

/** A field of a table's row: an address, a null pointer or a whole number. */
type Field = CudaBuffer | undefined | number;

/** Packs rows of structs whose fields have 8 bytes each. */
export function packRows(rows: readonly (readonly Field[])[]): BigInt64Array {
  const fields = rows
    .flat()
    .map((field) => BigInt(typeof field === "object" ? field.pointer : (field ?? 0)));
  return BigInt64Array.from(fields);
}
