import type { Pointer } from "bun:ffi";
import type { Buffer } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import type { KernelType } from "./kernels.ts";

/** Element types of CPU buffers. */
export type CpuType = KernelType | "i32";
/** Bytes per element. */
export const elementBytes: Readonly<Record<CpuType, number>> = { f32: 4, bf16: 2, i32: 4 };

/** Elements of a checkpoint that are converted to bf16 when a kernel first uses them. */
export interface Pending {
  /** Their address, if stored as floats. */
  readonly floats: Pointer | undefined;
  /** Converts them into a new block of the pool. */
  readonly convert: () => Pointer;
}

/** Native memory of the CPU backend, opaque outside ffi/cpu. */
export class CpuBuffer implements Buffer {
  readonly dtype: CpuType;
  readonly length: number;
  /**
   * False for checkpoint weights: their pages may be a mapped file's, and a write would kill the
   * process.
   */
  readonly writable: boolean;
  /**
   * A whole checkpoint tensor: data derived from its elements, such as a packed copy, stays valid.
   */
  readonly adopted: boolean;
  /** The mapped bytes that the pointer points into, kept alive with the buffer. */
  readonly keeps: Uint8Array | undefined;
  freed = false;
  references = 0;
  #storage: Pointer | Pending;

  constructor(
    dtype: CpuType,
    length: number,
    storage: Pointer | Pending,
    {
      writable,
      keeps,
      adopted = false,
    }: { writable: boolean; keeps?: Uint8Array | undefined; adopted?: boolean },
  ) {
    this.dtype = dtype;
    this.length = length;
    this.#storage = storage;
    this.writable = writable;
    this.keeps = keeps;
    this.adopted = adopted;
  }

  get pointer(): Pointer {
    if (typeof this.#storage === "object") this.#storage = this.#storage.convert();
    return this.#storage;
  }

  /** The pending conversion, until first use. */
  get pending(): Pending | undefined {
    return typeof this.#storage === "object" ? this.#storage : undefined;
  }
}

/** The kernel type of a buffer; throws for i32. */
export function typeOf(buffer: Buffer): KernelType {
  const { dtype } = cpuBuffer(buffer);
  invariant(dtype !== "i32", "a cpu kernel got i32, expected f32 or bf16");
  return dtype;
}

/**
 * Address of at least `count` elements to read. Bugs above (a wrong dtype or size, a freed buffer)
 * throw here instead of reaching C.
 */
export function elements(buffer: Buffer, count: number, type: KernelType): Pointer {
  return checkedBuffer(buffer, type, count).pointer;
}

/** Address of at least `count` floats to read. */
export const floats = (buffer: Buffer, count: number) => elements(buffer, count, "f32");

/** Address of at least `count` integers to read. */
export function integers(buffer: Buffer, count: number): Pointer {
  return checkedBuffer(buffer, "i32", count).pointer;
}

/** Address of at least `count` elements to write, floats by default. */
export function target(buffer: Buffer, count: number, type: KernelType = "f32"): Pointer {
  const checked = checkedBuffer(buffer, type, count);
  invariant(checked.writable, "a checkpoint's weights are read-only");
  return checked.pointer;
}

/** `elements`, or NULL for an absent buffer. */
export const optionalElements = (buffer: Buffer | undefined, count: number, type: KernelType) =>
  buffer === undefined ? null : elements(buffer, count, type);

/** `floats`, or NULL for an absent buffer. */
export const optionalFloats = (buffer: Buffer | undefined, count: number) =>
  optionalElements(buffer, count, "f32");

/** `integers`, or NULL for an absent buffer. */
export const optionalIntegers = (buffer: Buffer | undefined, count: number) =>
  buffer === undefined ? null : integers(buffer, count);

/** `target`, or NULL for an absent buffer. */
export const optionalTarget = (
  buffer: Buffer | undefined,
  count: number,
  type: KernelType = "f32",
) => (buffer === undefined ? null : target(buffer, count, type));

function checkedBuffer(buffer: Buffer, dtype: CpuType, count: number): CpuBuffer {
  const own = cpuBuffer(buffer);
  if (own.dtype !== dtype || own.length < count) {
    const got = `${own.dtype} [${own.length}]`;
    invariant(false, `a cpu kernel got ${got}, expected ${dtype} [${count}]`);
  }
  return own;
}

/** Checks that a buffer is this backend's and live. */
export function cpuBuffer(buffer: Buffer): CpuBuffer {
  invariant(buffer instanceof CpuBuffer, "cpu backend got another backend's buffer");
  invariant(!buffer.freed, "cpu backend got a freed buffer");
  return buffer;
}
