import type { CudaBuffer } from "../buffer.ts";

/** A field of a table's row: an address, a null pointer or a whole number from 0. */
type Field = CudaBuffer | undefined | number;

/** Packs rows of structs whose fields have 8 bytes each. */
export function packRows(rows: readonly (readonly Field[])[]): Uint32Array<ArrayBuffer> {
  const count = rows.reduce((sum, row) => sum + row.length, 0);
  const words = new Uint32Array(2 * count);
  let at = 0;
  for (const row of rows)
    for (const field of row) {
      const value = typeof field === "object" ? field.pointer : (field ?? 0);
      const high = Math.floor(value / 2 ** 32);
      words[at++] = value - high * 2 ** 32;
      words[at++] = high;
    }
  return words;
}

/**
 * Packs a list at its first use, and freezes it: a training step passes the same lists each time, and
 * their tables' buffers do not move.
 */
export function packedOnce<List extends object, Packed>(
  pack: (list: List) => Packed,
): (list: List) => Packed {
  const known = new WeakMap<List, Packed>();
  return (list) => {
    const kept = known.get(list);
    if (kept !== undefined) return kept;
    const packed = pack(list);
    known.set(Object.freeze(list), packed);
    return packed;
  };
}
