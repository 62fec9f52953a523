import type { Pointer } from "bun:ffi";
import type { Buffer } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import type { KernelType } from "./kernels.ts";

/** Types that the CPU backend stores. */
export type CpuType = KernelType | "i32";
export const elementBytes: Readonly<Record<CpuType, number>> = { f32: 4, bf16: 2, i32: 4 };

/** Numbers of a checkpoint that become bf16 when a kernel first asks for them. */
export interface Pending {
  /** Where they lie, if as floats. */
  readonly floats: Pointer | undefined;
  /** Converts them into a new block of the pool. */
  readonly convert: () => Pointer;
}

/** Native memory of the CPU backend; nothing outside ffi/cpu may look inside. */
export class CpuBuffer implements Buffer {
  readonly dtype: CpuType;
  readonly length: number;
  /** Checkpoint weights: their pages may be a mapped file's, which a write would kill the process for. */
  readonly writable: boolean;
  /** A whole tensor of a checkpoint: what is made of its numbers, such as a packed copy, stays true. */
  readonly adopted: boolean;
  /** The mapped bytes that the pointer points into: as long as the buffer is reachable, so are they. */
  readonly keeps: Uint8Array | undefined;
  freed = false;
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

  /** What the numbers are to be made of, as long as nothing has asked for them. */
  get pending(): Pending | undefined {
    return typeof this.#storage === "object" ? this.#storage : undefined;
  }
}

/** The type of the kernels that a buffer of numbers is for. */
export function typeOf(buffer: Buffer): KernelType {
  const { dtype } = cpuBuffer(buffer);
  invariant(dtype !== "i32", "a cpu kernel got i32 where numbers were due");
  return dtype;
}

/** Address of at least `count` numbers to read. A bug above (a wrong type or size, a freed buffer) ends here, not in C. */
export function elements(buffer: Buffer, count: number, type: KernelType): Pointer {
  return checkedBuffer(buffer, type, count).pointer;
}

/** Address of at least `count` floats to read. */
export const floats = (buffer: Buffer, count: number) => elements(buffer, count, "f32");

/** Address of at least `count` integers to read. */
export function integers(buffer: Buffer, count: number): Pointer {
  return checkedBuffer(buffer, "i32", count).pointer;
}

/** Address of at least `count` numbers, floats if not said otherwise, to write. */
export function target(buffer: Buffer, count: number, type: KernelType = "f32"): Pointer {
  const checked = checkedBuffer(buffer, type, count);
  invariant(checked.writable, "a checkpoint's weights are read-only");
  return checked.pointer;
}

/** As `numbers`, NULL for an absent buffer. */
export const optionalElements = (buffer: Buffer | undefined, count: number, type: KernelType) =>
  buffer === undefined ? null : elements(buffer, count, type);

/** As `floats`, NULL for an absent buffer. */
export const optionalFloats = (buffer: Buffer | undefined, count: number) =>
  optionalElements(buffer, count, "f32");

/** As `integers`, NULL for an absent buffer. */
export const optionalIntegers = (buffer: Buffer | undefined, count: number) =>
  buffer === undefined ? null : integers(buffer, count);

/** As `target`, NULL for an absent buffer. */
export const optionalTarget = (
  buffer: Buffer | undefined,
  count: number,
  type: KernelType = "f32",
) => (buffer === undefined ? null : target(buffer, count, type));

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
