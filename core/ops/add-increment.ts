import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import {
  checkFactors,
  incrementOf,
  type LowRankAttrs,
  lowRankBackward,
  projectDown,
} from "./low-rank-path.ts";

interface Attrs extends LowRankAttrs {
  /** First column of y that the increment covers. */
  readonly start: number;
}

/**
 * Adds scale * (dropout(x) A^T) diag(E) B^T to the columns of y from `start`, in place: one part of
 * an adapted fused layer, whose frozen product y is computed once. Nothing else may read y.
 * x: [N, in]; y: [N, out]; A: [r, in]; E: [r, 1] (absent for LoRA); B: [cols, r].
 *
 * Saves x and h = dropout(x) A^T [N, r].
 */
export const addIncrement = defineOp({
  name: "addIncrement",
  inputs: { y: "required", x: "required", a: "required", e: "optional", b: "required" },

  forward(pass, { y, x, a, e, b }, attrs: Attrs, recording) {
    const [rows, cols, stride] = [x.shape[0] ?? 0, b.shape[0] ?? 0, y.shape[1] ?? 0];
    const { start } = attrs;
    checkFactors("addIncrement", x, { a, e });
    if (y.shape[0] !== rows || start + cols > stride || b.shape[1] !== a.shape[0]) {
      const rule = `y must be [N, out] and B [cols, r] with at most out - ${start} rows`;
      throw errors.shape("addIncrement", rule, { x, y, A: a, B: b });
    }
    const h = projectDown(pass, x, a, attrs);
    const increment = { ...incrementOf(h, { a, e }, attrs), factor: b.buffer };
    const part = { start, length: rows === 0 ? 0 : (rows - 1) * stride + cols };
    const columns = pass.backend.view(y.buffer, part.start, part.length);
    pass.backend.addLowRank(columns, increment, undefined, { rows, cols, stride });
    const keep = recording ? [x.buffer, h] : [];
    return { shape: y.shape, out: y.buffer, saved: { x, a, e, b, h, part, stride }, keep };
  },

  backward(pass, dout, { part, stride, ...saved }, { y: dy, x: dx, ...sinks }, attrs) {
    const columns = pass.backend.view(dout, part.start, part.length);
    const target = dx.needed ? dx.accumulateZeroed() : undefined;
    lowRankBackward(pass, { dy: columns, stride, dx: target }, saved, sinks, attrs);
    if (dy.needed) dy.give(dout);
  },
});
