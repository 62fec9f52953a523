import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { defineOp } from "../op.ts";
import { matrixSize } from "./matrix-size.ts";

/**
 * y[b] = mean of the rows offsets[b] .. offsets[b + 1] of x, none of which is empty. x: [N, C];
 * offsets: [B + 1]; y: [B, C]. Sums in the master dtype, row by row; saves nothing.
 */
export const meanRows = defineOp({
  name: "meanRows",
  inputs: { x: "required" },

  forward(pass, { x }, { offsets }: { offsets: Int32Array }) {
    const [rows, cols] = matrixSize("meanRows", "x", x);
    const sequences = offsets.length - 1;
    if (offsets[sequences] !== rows)
      throw errors.shape("meanRows", `x must be [${offsets[sequences]}, C]`, { x });
    const { backend } = pass;
    const means = pass.allocateMaster(sequences * cols);
    backend.zero(means);
    backend.scatterAddRows(x.buffer, pass.integers(sequenceOfRow(offsets)), means, rows, cols);
    divideByLength(pass, means, offsets, cols);
    const out = pass.allocate(sequences * cols);
    const all = pass.integers(Int32Array.from({ length: sequences }, (_, b) => b));
    backend.gatherRows(means, all, out, { rows: sequences, cols, add: false });
    return { shape: [sequences, cols], out, saved: { rows, cols }, keep: [] };
  },

  backward(pass, dy, { rows, cols }, { x: dx }, { offsets }) {
    if (!dx.needed) return;
    const shares = pass.tape.inPlaceOf(dy);
    if (shares !== dy) pass.backend.copy(shares, dy);
    divideByLength(pass, shares, offsets, cols);
    const out = pass.allocate(rows * cols);
    const ids = pass.integers(sequenceOfRow(offsets));
    pass.backend.gatherRows(shares, ids, out, { rows, cols, add: false });
    dx.give(out);
  },
});

/** x[b] /= the length of sequence b, in place. x: [B, C]. */
function divideByLength(pass: ForwardPass, x: Buffer, offsets: Int32Array, cols: number): void {
  for (let b = 0; b + 1 < offsets.length; b++) {
    const row = pass.backend.view(x, b * cols, cols);
    pass.backend.scale(row, 1 / (offsets[b + 1]! - offsets[b]!), row);
  }
}

/** [N]: the sequence of each row. */
function sequenceOfRow(offsets: Int32Array): Int32Array {
  const out = new Int32Array(offsets[offsets.length - 1]!);
  for (let b = 0; b + 1 < offsets.length; b++) out.fill(b, offsets[b], offsets[b + 1]);
  return out;
}
