import type { Buffer } from "../../core/backend.ts";
import { invariant } from "../../core/errors.ts";

/** Element types that kernels compute with. */
export type KernelType = "f32" | "bf16";
/** Element types of buffers on a CUDA device. */
export type CudaType = KernelType | "i32";
/** Bytes per element. */
export const elementBytes: Readonly<Record<CudaType, number>> = { f32: 4, bf16: 2, i32: 4 };

/** Device memory, opaque outside ffi/cuda. */
export class CudaBuffer implements Buffer {
  readonly dtype: CudaType;
  readonly length: number;
  /** Its address on the device; the host must not read it. */
  readonly pointer: number;
  /** False for a checkpoint's weights. */
  readonly writable: boolean;
  /** Bytes of the block that it owns; 0 for a view. */
  ownedBytes = 0;
  freed = false;
  references = 0;

  constructor(dtype: CudaType, length: number, pointer: number, writable = true) {
    this.dtype = dtype;
    this.length = length;
    this.pointer = pointer;
    this.writable = writable;
  }
}

/** Checks that a buffer is this backend's and live. */
export function cudaBuffer(buffer: Buffer): CudaBuffer {
  invariant(buffer instanceof CudaBuffer, "cuda backend got another backend's buffer");
  invariant(!buffer.freed, "cuda backend got a freed buffer");
  return buffer;
}

/** The kernel type of a buffer; throws for i32. */
export function typeOf(buffer: Buffer): KernelType {
  const { dtype } = cudaBuffer(buffer);
  invariant(dtype !== "i32", "a cuda kernel got i32, expected f32 or bf16");
  return dtype;
}

/**
 * A buffer of at least `count` elements for a kernel to read. Bugs above (a wrong dtype or size, a
 * freed buffer) throw here instead of reaching the device.
 */
export function elements(buffer: Buffer, count: number, type: CudaType): CudaBuffer {
  const own = cudaBuffer(buffer);
  if (own.dtype !== type || own.length < count) {
    const got = `${own.dtype} [${own.length}]`;
    invariant(false, `a cuda kernel got ${got}, expected ${type} [${count}]`);
  }
  return own;
}

/** At least `count` floats to read. */
export const floats = (buffer: Buffer, count: number) => elements(buffer, count, "f32");

/** At least `count` integers to read. */
export const integers = (buffer: Buffer, count: number) => elements(buffer, count, "i32");

/** At least `count` elements to write, floats by default. */
export function target(buffer: Buffer, count: number, type: CudaType = "f32"): CudaBuffer {
  const own = elements(buffer, count, type);
  invariant(own.writable, "a checkpoint's weights are read-only");
  return own;
}

/** `elements`, or undefined (a null pointer) for an absent buffer. */
export const optionalElements = (buffer: Buffer | undefined, count: number, type: CudaType) =>
  buffer === undefined ? undefined : elements(buffer, count, type);

/** `floats`, or undefined for an absent buffer. */
export const optionalFloats = (buffer: Buffer | undefined, count: number) =>
  optionalElements(buffer, count, "f32");

/** `integers`, or undefined for an absent buffer. */
export const optionalIntegers = (buffer: Buffer | undefined, count: number) =>
  optionalElements(buffer, count, "i32");

/** `target`, or undefined for an absent buffer. */
export const optionalTarget = (buffer: Buffer | undefined, count: number, type: CudaType = "f32") =>
  buffer === undefined ? undefined : target(buffer, count, type);
