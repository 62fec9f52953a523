import { errors } from "../errors.ts";
import type { Dropout } from "../kernels/elementwise.ts";
import { defineOp } from "../op.ts";

interface Attrs {
  /** On x; absent when nothing is dropped. */
  readonly dropout?: Dropout | undefined;
}

/**
 * y = residual + dropout(x): the residual connection of a pre-norm layer, whose sum is both the
 * next residual and the next norm's input. x, residual, y: [N, C].
 *
 * Saves nothing: backward draws the mask again.
 */
export const addDropout = defineOp({
  name: "addDropout",
  inputs: { x: "required", residual: "required" },

  forward(pass, { x, residual }, { dropout }: Attrs) {
    const [rows, cols] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    const fits = residual.shape[0] === rows && residual.shape[1] === cols;
    if (x.shape.length !== 2 || !fits)
      throw errors.shape("addDropout", "the residual must have the shape of x, [N, C]", {
        x,
        residual,
      });
    const out = pass.allocate(rows * cols);
    pass.backend.addDropout(x.buffer, residual.buffer, out, { rows, cols, dropout });
    return { shape: x.shape, out, saved: { rows, cols }, keep: [] };
  },

  backward(pass, dy, { rows, cols }, { x: dx, residual: dresidual }, { dropout }) {
    if (dx.needed && dropout) {
      const masked = dresidual.needed ? pass.allocate(rows * cols) : pass.tape.inPlaceOf(dy);
      pass.backend.dropout(dy, masked, rows, cols, dropout);
      dx.give(masked);
    } else if (dx.needed) dx.give(dy);
    if (dresidual.needed) dresidual.give(dy);
  },
});
