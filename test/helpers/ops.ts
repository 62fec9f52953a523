import type { Buffer } from "../../core/backend.ts";
import { defineOp } from "../../core/op.ts";

/**
 * y = x as the output of an op, so that the next op may overwrite it and it gets a gradient as an
 * intermediate tensor.
 */
export const fresh = defineOp({
  name: "fresh",
  inputs: { x: "required" },

  forward(pass, { x }) {
    const out = pass.allocate(x.buffer.length);
    pass.backend.scale(x.buffer, 1, out);
    return { shape: x.shape, out, saved: {}, keep: [] };
  },

  backward(_pass, dy, _saved, { x: dx }) {
    dx.give(dy);
  },
});

/** loss = <y, cotangent>, [1]. */
export const product = defineOp({
  name: "product",
  inputs: { y: "required" },

  forward(pass, { y }, { cotangent }: { cotangent: Buffer }) {
    const out = pass.allocateMaster(1);
    pass.backend.gemm(y.buffer, cotangent, out, { m: 1, n: 1, k: y.buffer.length });
    return { shape: [1], out, saved: {}, keep: [cotangent] };
  },

  backward(pass, dloss, _saved, { y: dy }, { cotangent }) {
    const out = pass.allocate(cotangent.length);
    pass.backend.scaleBy(cotangent, dloss, out);
    dy.give(out);
  },
});
