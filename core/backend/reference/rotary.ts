import type { RotaryKernels } from "../../kernels/rotary.ts";
import { floats, integers } from "./buffer.ts";

/** Rotary position embedding. */
export const rotaryKernels: RotaryKernels = {
  rotate(xBuffer, positionsBuffer, tables, { rows, heads, headDim, stride, inverse }) {
    const [x, positions] = [floats(xBuffer), integers(positionsBuffer)];
    const [cos, sin] = [floats(tables.cos), floats(tables.sin)];
    const half = tables.rotated / 2;
    for (let r = 0; r < rows; r++) {
      for (let head = 0; head < heads; head++) {
        for (let i = 0; i < half; i++) {
          const [first, at] = [r * stride + head * headDim + i, positions[r]! * half + i];
          const [a, b] = [x[first]!, x[first + half]!];
          const s = inverse ? -sin[at]! : sin[at]!;
          x[first] = a * cos[at]! - b * s;
          x[first + half] = b * cos[at]! + a * s;
        }
      }
    }
  },
};
