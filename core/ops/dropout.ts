import type { Dropout } from "../backend.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/** y = x * mask / (1 - p). x, y: [N, C]. Saves nothing: backward draws the same mask. */
export const dropout = defineOp({
  name: "dropout",

  forward(run, [x]: readonly [Tensor], attrs: { dropout: Dropout }) {
    const [rows, cols] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    const out = run.allocate(rows * cols);
    run.backend.dropout(x.buffer, out, rows, cols, attrs.dropout);
    return { shape: x.shape, out, saved: { rows, cols }, keep: [] };
  },

  backward(run, dy, { rows, cols }, [dx], attrs) {
    if (!dx.needed) return;
    const out = run.tape.inPlaceOf(dy);
    run.backend.dropout(dy, out, rows, cols, attrs.dropout);
    dx.give(out);
  },
});
