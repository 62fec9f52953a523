import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";

/**
 * y = x / sqrt(mean(x^2) + eps) * weight, over the last axis, as transformers' LlamaRMSNorm.
 * x, y: [N, C]; weight: [C].
 *
 * Saves x and one value per row.
 */
export const rmsNorm = defineOp({
  name: "rmsNorm",
  inputs: { x: "required", weight: "required" },

  forward(pass, { x, weight }, { eps }: { readonly eps: number }, recording) {
    const [rows, cols] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    if (x.shape.length !== 2 || weight.shape[0] !== cols)
      throw errors.shape("rmsNorm", "weight must be [C] for x of [N, C]", { x, weight });
    const y = pass.allocate(rows * cols);
    const rstd = pass.allocateMaster(rows);
    pass.backend.rmsNorm(x.buffer, weight.buffer, { y, rstd }, { rows, cols, eps });
    const keep = recording ? [x.buffer, rstd] : [];
    return { shape: x.shape, out: y, saved: { x, weight, rstd, rows, cols }, keep };
  },

  backward(pass, dy, { x, weight, rstd, rows, cols }, { x: dx, weight: dweight }) {
    const out = {
      dx: pass.tape.inPlaceOf(dy),
      dweight: dweight.needed ? dweight.accumulateZeroed() : undefined,
    };
    pass.backend.rmsNormBackward(dy, x.buffer, weight.buffer, rstd, out, { rows, cols });
    if (dx.needed) dx.give(out.dx);
  },
});
