import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { RotaryTables } from "../kernels/rotary.ts";
import { defineOp } from "../op.ts";

interface Attrs {
  readonly tables: RotaryTables;
  /** i32 [N]: the position of each row, as `Packing` has it. */
  readonly positions: Buffer;
  /** Heads of `headDim` columns to rotate, from the first column on. */
  readonly heads: number;
  readonly headDim: number;
}

/**
 * Rotary position embedding: rotates each head of a row by the row's position; `RotaryKernels` has
 * the formula. x, y: [N, W], of which the first heads * headDim columns are rotated and the others
 * kept: the queries and keys of a fused [N, 3C] are its first 2 * heads heads.
 *
 * Overwrites x, so x must be the output of another op and have no other reader. Saves nothing:
 * backward rotates the gradient back.
 */
export const rotate = defineOp({
  name: "rotate",
  inputs: { x: "required" },

  forward(pass, { x }, attrs: Attrs) {
    const [rows, stride] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    const { tables, positions, heads, headDim } = attrs;
    if (x.shape.length !== 2 || heads * headDim > stride || tables.rotated > headDim) {
      const rule = `x must be [N, W] with W >= ${heads * headDim}, ${tables.rotated} rotated columns a head`;
      throw errors.shape("rotate", rule, { x });
    }
    const out = rotated(pass, x.buffer, { rows, stride, inverse: false }, attrs);
    const keep = [tables.cos, tables.sin, positions];
    return { shape: x.shape, out, saved: { rows, stride }, keep };
  },

  backward(pass, dy, { rows, stride }, { x: dx }, attrs) {
    if (dx.needed) dx.give(rotated(pass, dy, { rows, stride, inverse: true }, attrs));
  },
});

/** Rotates in place, or a copy where a node still reads the buffer. */
function rotated(
  pass: ForwardPass,
  x: Buffer,
  shape: { rows: number; stride: number; inverse: boolean },
  { tables, positions, heads, headDim }: Attrs,
): Buffer {
  const out = pass.tape.inPlaceOf(x);
  if (out !== x) pass.backend.copy(out, x);
  pass.backend.rotate(out, positions, tables, { ...shape, heads, headDim });
  return out;
}
