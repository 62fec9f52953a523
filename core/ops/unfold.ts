import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import { matrixSize } from "./matrix-size.ts";

/**
 * The windows of a 1-D convolution as rows: y[r, c * width + t] = x[neighbours[r, t], c], or 0
 * where there is no neighbour (-1). x: [N, C]; neighbours: [N, width]; y: [N, C * width], so that a
 * weight [out, C, width] multiplies it as [out, C * width].
 */
export const unfold = defineOp({
  name: "unfold",
  inputs: { x: "required" },

  forward(pass, { x }, attrs: { neighbours: Buffer; width: number }) {
    const [rows, cols] = matrixSize("unfold", "x", x);
    const shape = { rows, cols, width: attrs.width };
    if (attrs.neighbours.length !== shape.rows * shape.width) {
      const got = { x, neighbours: { shape: [attrs.neighbours.length] } };
      throw errors.shape("unfold", `neighbours must be [N * ${shape.width}] for x of [N, C]`, got);
    }
    const out = pass.allocate(shape.rows * shape.cols * shape.width);
    pass.backend.unfold(x.buffer, attrs.neighbours, out, shape);
    const saved = { shape };
    return { shape: [shape.rows, shape.cols * shape.width], out, saved, keep: [attrs.neighbours] };
  },

  backward(pass, dy, { shape }, { x: dx }, { neighbours }) {
    if (dx.needed) pass.backend.foldAdd(dy, neighbours, dx.accumulateZeroed(), shape);
  },
});
