import type { Dropout } from "../kernels/elementwise.ts";
import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";

interface Attrs {
  readonly eps: number;
  /** On x; absent when nothing is dropped. */
  readonly dropout?: Dropout | undefined;
}

/**
 * y = (s - mean(s)) * rstd(s) * weight + bias with s = residual + dropout(x), over the last axis.
 * x, residual: [N, C]; weight, bias: [C]; an absent bias is 0.
 *
 * Overwrites x with s, so x must be the output of another op and have no other reader, unless
 * there is neither a residual nor dropout.
 * Saves s, mean and rstd; backward recomputes the normalised s.
 */
export const addLayerNorm = defineOp({
  name: "addLayerNorm",
  inputs: { x: "required", residual: "optional", weight: "required", bias: "optional" },

  forward(pass, { x, residual, weight, bias }, { eps, dropout }: Attrs, recording) {
    const [rows, cols] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    const fits = weight.shape[0] === cols && (!bias || bias.shape[0] === cols);
    if (!fits || x.shape.length !== 2) {
      throw errors.shape("addLayerNorm", "weight and bias must be [C] for x of [N, C]", {
        x,
        weight,
        ...(bias && { bias }),
      });
    }
    if (residual && (residual.shape[0] !== rows || residual.shape[1] !== cols))
      throw errors.shape("addLayerNorm", "the residual must have the shape of x", { x, residual });
    const y = pass.allocate(rows * cols);
    const mean = pass.allocateMaster(rows);
    const rstd = pass.allocateMaster(rows);
    const shape = { rows, cols, eps, dropout };
    pass.backend.addLayerNorm(
      x.buffer,
      residual?.buffer,
      weight.buffer,
      bias?.buffer,
      { y, mean, rstd },
      shape,
    );
    const keep = recording ? [x.buffer, mean, rstd] : [];
    return {
      shape: x.shape,
      out: y,
      saved: { sum: x.buffer, weight, mean, rstd, rows, cols },
      keep,
    };
  },

  backward(
    pass,
    dy,
    { sum, weight, mean, rstd, rows, cols },
    { x: dx, residual: dresidual, weight: dweight, bias: dbias },
    { dropout },
  ) {
    const dsum = pass.tape.inPlaceOf(dy);
    const masked = dropout && dx.needed ? pass.allocate(rows * cols) : undefined;
    const out = {
      dsum,
      dx: masked,
      dweight: dweight.needed ? dweight.accumulateZeroed() : undefined,
      dbias: dbias.needed ? dbias.accumulateZeroed() : undefined,
    };
    pass.backend.addLayerNormBackward(dy, sum, weight.buffer, { mean, rstd }, out, {
      rows,
      cols,
      dropout,
    });
    if (dx.needed) dx.give(masked ?? dsum);
    if (dresidual.needed) dresidual.give(dsum);
  },
});
