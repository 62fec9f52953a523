import type { CudaBuffer } from "./buffer.ts";

/** A number passed to a kernel by value, with its type in C. */
export interface Scalar {
  readonly type: "i32" | "u32" | "i64" | "f32";
  readonly value: number;
}

/** Device memory, a null pointer or a number. */
export type Value = CudaBuffer | undefined | Scalar;

/** An argument of a kernel: a value, or one for each matrix of a group, made by `each`. */
export type Arg = Value | readonly Value[];

/** Blocks of a grid: x, or x, y and z. x is at most 2^31 - 1, y and z at most 65,535. */
export type Grid = number | readonly [x: number, y: number, z?: number];

/** Starts kernels on one device, in order, on its only compute stream. */
export interface Launcher {
  /**
   * Queues a kernel of ffi/cuda/kernels by its name. `block`: threads, at most 1,024.
   * `sharedBytes`: dynamic shared memory. An empty grid does nothing. Throws E_NATIVE naming the
   * kernel.
   */
  launch(
    kernel: string,
    grid: Grid,
    block: number,
    sharedBytes: number,
    args: readonly Arg[],
  ): void;
  /** Streaming multiprocessors of the device. */
  readonly multiprocessors: number;
  /**
   * Scratch of at least `floats` floats, shared by all kernels: valid for launches until the next
   * call of `scratch`, contents undefined.
   */
  scratch(floats: number): CudaBuffer;
  /**
   * At least `count` integers that are 0: kernels with several blocks for one result count those
   * that have ended, and set them to 0 again.
   */
  counters(count: number): CudaBuffer;
  /**
   * Copies a small table to the device, such as the addresses and sizes of many matrices: valid for
   * launches until the next call of `table`.
   */
  table(values: Int32Array | Float32Array | BigInt64Array): CudaBuffer;
}

/** An `i32` parameter. */
export const i32 = (value: number): Scalar => ({ type: "i32", value });
/** A `u32` parameter. */
export const u32 = (value: number): Scalar => ({ type: "u32", value });
/** An `i64` parameter, exact up to 2^53. */
export const i64 = (value: number): Scalar => ({ type: "i64", value });
/** An `f32` parameter. */
export const f32 = (value: number): Scalar => ({ type: "f32", value });

/** Matrices that one launch treats, at most: GROUP of kernels/language.h. */
export const GROUP = 8;

/** A grouped parameter: Each<T> of kernels/language.h, with 0 past the last. */
export function each<T>(items: readonly T[], of: (item: T) => Value): Value[] {
  const values = items.map(of);
  const [first] = values;
  const absent = first === undefined || !("type" in first) ? undefined : { ...first, value: 0 };
  while (values.length < GROUP) values.push(absent);
  return values;
}

/** Calls `launch` with as many items at a time as one launch treats. */
export function inGroups<T>(items: readonly T[], launch: (group: readonly T[]) => void): void {
  for (let first = 0; first < items.length; first += GROUP)
    launch(items.slice(first, first + GROUP));
}

/** Blocks of `size` that cover `count` elements. */
export const blocksOf = (count: number, size: number) => Math.ceil(count / size);
