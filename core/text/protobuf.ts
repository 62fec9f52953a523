/** In place of an end: the value is a varint's number. */
export const VARINT = -1;
/** In place of an end: the value is a float's number. */
export const FLOAT = -2;

/**
 * Receives a field of a message: a number (`end` is VARINT or FLOAT), or the byte range
 * [value, end) of the same buffer. A field of another kind than the format's must be ignored.
 */
type ProtobufVisitor = (field: number, value: number, end: number) => void;

/** A malformed message; `offset` is the byte at which it was detected. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
  readonly offset: number;

  constructor(offset: number, rule: string) {
    super(`byte ${offset}: ${rule}`);
    this.offset = offset;
  }
}

/**
 * Visits the fields of the protobuf message in `bytes[start, end)` without copying.
 *
 * Calls `visit(field, value, VARINT or FLOAT)` for a number, and `visit(field, start, end)` for a
 * length-delimited field (text, bytes, a nested message). Skips fixed 64-bit fields: no format read
 * here has one. Throws ProtobufError on a truncated field or an unknown wire type.
 */
export function visitFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: ProtobufVisitor,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cursor: Cursor = { offset: start, end };
  while (cursor.offset < cursor.end) {
    const tagOffset = cursor.offset;
    const tag = readVarint(bytes, cursor);
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (field === 0) throw new ProtobufError(tagOffset, "field number 0");
    if (wire === 0) visit(field, readVarint(bytes, cursor), VARINT);
    else if (wire === 1) skip(cursor, 8);
    else if (wire === 2) {
      const size = readVarint(bytes, cursor);
      const from = skip(cursor, size);
      visit(field, from, cursor.offset);
    } else if (wire === 5) visit(field, view.getFloat32(skip(cursor, 4), true), FLOAT);
    else throw new ProtobufError(tagOffset, `unknown wire type ${wire}`);
  }
}

interface Cursor {
  offset: number;
  readonly end: number;
}

function readVarint(bytes: Uint8Array, cursor: Cursor): number {
  let value = 0;
  let factor = 1;
  for (let i = 0; i < 10; i++) {
    if (cursor.offset >= cursor.end)
      throw new ProtobufError(cursor.offset, "the file ends inside a varint");
    const byte = bytes[cursor.offset++]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
    factor *= 128;
  }
  throw new ProtobufError(cursor.offset, "a varint is longer than 10 bytes");
}

/** Skips `size` bytes and returns the offset of the first. */
function skip(cursor: Cursor, size: number): number {
  const from = cursor.offset;
  const left = cursor.end - from;
  if (size > left)
    throw new ProtobufError(from, `a field of ${size} bytes, but only ${left} are left`);
  cursor.offset += size;
  return from;
}
