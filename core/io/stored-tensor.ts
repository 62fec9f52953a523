/** Bytes per element, by the dtype names of the safetensors format. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

/** A dtype by its name in the safetensors format. */
export type StoredDtype = keyof typeof DTYPE_BYTES;

/**
 * A tensor as stored in a file: `bytes` are little-endian, row-major, often a view of the file, and
 * must not be written to.
 */
export interface StoredTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Whether a value is the name of a known dtype. */
export const isStoredDtype = (name: unknown): name is StoredDtype =>
  typeof name === "string" && Object.hasOwn(DTYPE_BYTES, name);

/** Whether a value is a valid size or offset: an integer from 0 to 2^53 - 1. */
export const isSize = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/**
 * Product of the sizes; 1 for a scalar. Inexact above 2^53, where it still exceeds every real file
 * size.
 */
export function elementCount(shape: readonly number[]): number {
  // First, as a 0 behind an overflow to infinity would give NaN.
  if (shape.includes(0)) return 0;
  return shape.reduce((product, size) => product * size, 1);
}

/** A tensor over float32 values, without a copy. */
export function float32Tensor(shape: readonly number[], values: Float32Array): StoredTensor {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { dtype: "F32", shape, bytes };
}
