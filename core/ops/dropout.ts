import type { Dropout } from "../kernels/elementwise.ts";
import { defineOp } from "../op.ts";
import { matrixSize } from "./matrix-size.ts";

/** y = x * mask / (1 - p). x, y: [N, C]. Saves nothing: backward draws the mask again. */
export const dropout = defineOp({
  name: "dropout",
  inputs: { x: "required" },

  forward(pass, { x }, attrs: { dropout: Dropout }) {
    const [rows, cols] = matrixSize("dropout", "x", x);
    const out = pass.allocate(rows * cols);
    pass.backend.dropout(x.buffer, out, rows, cols, attrs.dropout);
    return { shape: x.shape, out, saved: { rows, cols }, keep: [] };
  },

  backward(pass, dy, { rows, cols }, { x: dx }, attrs) {
    if (!dx.needed) return;
    const out = pass.tape.inPlaceOf(dy);
    pass.backend.dropout(dy, out, rows, cols, attrs.dropout);
    dx.give(out);
  },
});
