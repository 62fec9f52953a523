import type { Pointer } from "bun:ffi";
import { F, I, L, P } from "./kernels.ts";

/** Field types of a struct: address, int32_t, int64_t or float, by name in C's order. */
export type Fields = Readonly<Record<string, typeof P | typeof I | typeof L | typeof F>>;

/** One value per field; null is NULL. */
export type FieldValues<S extends Fields> = {
  readonly [K in keyof S]: S[K] extends typeof P ? Pointer | null : number;
};

/** Layout of a struct in kernels/arguments.h; field names in camel case. */
export interface Struct<S extends Fields> {
  readonly fields: S;
  /** Byte offset of each field, in order. */
  readonly offsets: readonly number[];
  /** sizeof */
  readonly bytes: number;
}

const BYTES = { [P]: 8, [I]: 4, [L]: 8, [F]: 4 } as const;

const roundUp = (n: number, multiple: number) => Math.ceil(n / multiple) * multiple;

/**
 * Lays out fields as C does: each aligned to its size, the whole padded to its largest alignment.
 */
export function struct<const S extends Fields>(fields: S): Struct<S> {
  let [end, alignment] = [0, 1];
  const offsets = Object.values(fields).map((type) => {
    const offset = roundUp(end, BYTES[type]);
    end = offset + BYTES[type];
    alignment = Math.max(alignment, BYTES[type]);
    return offset;
  });
  return { fields, offsets, bytes: roundUp(end, alignment) };
}

/**
 * Packs structs into an array. Pass the returned array itself to C: an address would not keep it
 * alive.
 */
export function pack<S extends Fields>(
  { fields, offsets, bytes }: Struct<S>,
  ...rows: readonly FieldValues<S>[]
): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes * rows.length));
  const names = Object.keys(fields);
  for (const [row, values] of rows.entries()) {
    for (const [i, name] of names.entries()) {
      const at = bytes * row + (offsets[i] ?? 0);
      write(view, at, fields[name], values[name] ?? 0);
    }
  }
  return new Uint8Array(view.buffer);
}

function write(view: DataView, at: number, type: Fields[string] | undefined, value: number) {
  if (type === F) view.setFloat32(at, value, true);
  else if (type === I) view.setInt32(at, value, true);
  else view.setBigInt64(at, BigInt(value), true);
}
