import type { Buffer } from "./memory.ts";

/** Cosine and sine of the angle of each position and pair of columns. */
export interface RotaryTables {
  /** [rows, rotated / 2] in the master dtype; row p belongs to position p. */
  readonly cos: Buffer;
  readonly sin: Buffer;
  readonly rows: number;
  /** Columns of each head that are rotated: an even number, at most its width. */
  readonly rotated: number;
}

/** Which columns of a matrix [rows, stride] are rotated: its first heads * headDim. */
export interface RotationShape {
  readonly rows: number;
  readonly heads: number;
  readonly headDim: number;
  /** Elements from one row to the next. */
  readonly stride: number;
  /** Rotates by the negative angles: the gradient of a rotation, which is its inverse. */
  readonly inverse: boolean;
}

/** Rotary position embedding (Su et al., 2021). */
export interface RotaryKernels {
  /**
   * In place, with h = rotated / 2, rotates the pairs (x[i], x[h + i]) of each head, i < h, by the
   * angle a_i of the row's position, as transformers' `rotate_half`:
   *   x[i] := x[i] cos(a_i) - x[h + i] sin(a_i),   x[h + i] := x[h + i] cos(a_i) + x[i] sin(a_i)
   * positions: i32 [rows], each below tables.rows.
   */
  rotate(x: Buffer, positions: Buffer, tables: RotaryTables, shape: RotationShape): void;
}
