import type { Pointer } from "bun:ffi";
import { F, I, L, P } from "./kernels.ts";

/** Types of the fields of a struct: an address, int32_t, int64_t or float. */
export type Fields = Readonly<Record<string, typeof P | typeof I | typeof L | typeof F>>;

/** One value for each field; NULL is null. */
export type FieldValues<S extends Fields> = {
  readonly [K in keyof S]: S[K] extends typeof P ? Pointer | null : number;
};

/** Layout of a struct of kernels/arguments.h: its fields in C's order, their names in camel case. */
export interface Struct<S extends Fields> {
  readonly fields: S;
  /** Offset of each field in bytes, in order. */
  readonly offsets: readonly number[];
  /** sizeof */
  readonly bytes: number;
}

const BYTES = { [P]: 8, [I]: 4, [L]: 8, [F]: 4 } as const;

const roundUp = (n: number, multiple: number) => Math.ceil(n / multiple) * multiple;

/** Lays out fields as C does: each at a multiple of its size, the whole a multiple of the largest. */
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

/** Packs structs one after another. Pass the array itself to C: its address would not keep it alive. */
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
