import type { Pointer } from "bun:ffi";
import type { Buffer } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";

/** Types that the CPU backend stores, all of 4 bytes. */
export type CpuType = "f32" | "i32";
export const ELEMENT_BYTES = 4;

/** Native memory of the CPU backend; nothing outside ffi/cpu may look inside. */
export class CpuBuffer implements Buffer {
  readonly dtype: CpuType;
  readonly length: number;
  readonly pointer: Pointer;
  /** Checkpoint weights: their pages may be a mapped file's, which a write would kill the process for. */
  readonly writable: boolean;
  /** The mapped bytes that the pointer points into: as long as the buffer is reachable, so are they. */
  readonly keeps: Uint8Array | undefined;
  freed = false;

  constructor(
    dtype: CpuType,
    length: number,
    pointer: Pointer,
    { writable, keeps }: { writable: boolean; keeps?: Uint8Array | undefined },
  ) {
    this.dtype = dtype;
    this.length = length;
    this.pointer = pointer;
    this.writable = writable;
    this.keeps = keeps;
  }
}

/** Address of at least `count` floats to read. A bug above (a wrong type or size, a freed buffer) ends here, not in C. */
export function floats(buffer: Buffer, count: number): Pointer {
  return checkedBuffer(buffer, "f32", count).pointer;
}

/** Address of at least `count` integers to read. */
export function integers(buffer: Buffer, count: number): Pointer {
  return checkedBuffer(buffer, "i32", count).pointer;
}

/** Address of at least `count` floats to write. */
export function target(buffer: Buffer, count: number): Pointer {
  const checked = checkedBuffer(buffer, "f32", count);
  invariant(checked.writable, "a checkpoint's weights are read-only");
  return checked.pointer;
}

/** As `floats`, NULL for an absent buffer. */
export const optionalFloats = (buffer: Buffer | undefined, count: number) =>
  buffer === undefined ? null : floats(buffer, count);

/** As `target`, NULL for an absent buffer. */
export const optionalTarget = (buffer: Buffer | undefined, count: number) =>
  buffer === undefined ? null : target(buffer, count);

function checkedBuffer(buffer: Buffer, dtype: CpuType, count: number): CpuBuffer {
  const own = cpuBuffer(buffer);
  if (own.dtype !== dtype || own.length < count) {
    const got = `${own.dtype} [${own.length}]`;
    invariant(false, `a cpu kernel got ${got} where ${dtype} [${count}] was due`);
  }
  return own;
}

/** The backend's own buffer, still live. */
export function cpuBuffer(buffer: Buffer): CpuBuffer {
  invariant(buffer instanceof CpuBuffer, "cpu backend got another backend's buffer");
  invariant(!buffer.freed, "cpu backend got a freed buffer");
  return buffer;
}
