import type { GroupedArguments } from "./arguments.ts";
import type { CudaBuffer } from "./buffer.ts";

/** A float passed to a kernel by value. */
export class FloatArg {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/**
 * A number passed to a kernel by value. A whole number fits every integer type: the launcher writes
 * 64 bits, of which an `int` parameter reads the lower half.
 */
export type Scalar = number | FloatArg;

/** An argument of a kernel: device memory, a null pointer or a number. */
export type Arg = CudaBuffer | undefined | Scalar;

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
    args: readonly Arg[] | GroupedArguments<string>,
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
   * A copy on the device of a small table, such as the addresses and sizes of many matrices: valid
   * for launches until `table` has been called for eight others. One of the last eight is not
   * uploaded again.
   */
  table(values: ArrayBufferView<ArrayBuffer>): CudaBuffer;
}

/** An `i32` parameter. */
export const i32 = (value: number): Scalar => value;
/** A `u32` parameter. */
export const u32 = (value: number): Scalar => value;
/** An `i64` parameter, exact up to 2^53. */
export const i64 = (value: number): Scalar => value;
/** An `f32` parameter. */
export const f32 = (value: number): Scalar => new FloatArg(value);

/** Matrices that one launch treats, at most: GROUP of kernels/language.h. */
export const GROUP = 8;

/** Blocks of `size` that cover `count` elements. */
export const blocksOf = (count: number, size: number) => Math.ceil(count / size);
