import { errors } from "../errors.ts";

/**
 * Little-endian two's complement of any length; a bigint only where a number would not be exact.
 */
function signedInteger(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  value = BigInt.asIntN(bytes.length * 8, value);
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

/** Reads integers and strings from the bytes of a pickle; every read is bounds-checked. */
export class PickleReader {
  offset: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;

  constructor(bytes: Uint8Array, start: number, where: string) {
    this.offset = start;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  /** Throws an AdaloraError naming the file and the byte offset. */
  fail(rule: string, hint?: string): never {
    throw errors.file(`${this.#where} (byte ${this.offset} of its pickle)`, rule, hint);
  }

  #take(length: number): Uint8Array {
    const left = this.#bytes.length - this.offset;
    if (length > left) this.fail(`is truncated: ${length} more bytes are needed, found ${left}`);
    this.offset += length;
    return this.#bytes.subarray(this.offset - length, this.offset);
  }

  u8(): number {
    this.#take(1);
    return this.#view.getUint8(this.offset - 1);
  }

  u16(): number {
    this.#take(2);
    return this.#view.getUint16(this.offset - 2, true);
  }

  u32(): number {
    this.#take(4);
    return this.#view.getUint32(this.offset - 4, true);
  }

  i32(): number {
    return this.u32() | 0;
  }

  /** A big-endian double, the only big-endian value in a pickle. */
  f64(): number {
    this.#take(8);
    return this.#view.getFloat64(this.offset - 8, false);
  }

  integer(length: number): number | bigint {
    return signedInteger(this.#take(length));
  }

  skip(length: number): void {
    this.#take(length);
  }

  text(length: number): string {
    return Buffer.from(this.#take(length)).toString("utf8");
  }

  /** Text up to the next line feed, which is consumed. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.offset);
    if (end < 0) this.fail("is truncated: a line of the pickle is not terminated");
    const text = this.text(end - this.offset);
    this.offset++;
    return text;
  }
}
