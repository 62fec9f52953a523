import type { ActivationKind } from "../kernels/elementwise.ts";
import { defineOp } from "../op.ts";
import { elementsOf } from "../tensor.ts";

/** y = f(x), element-wise. x, y: any shape. Saves x. */
export const activation = defineOp({
  name: "activation",
  inputs: { x: "required" },

  forward(pass, { x }, { kind }: { kind: ActivationKind }) {
    const out = pass.allocate(elementsOf(x.shape));
    pass.backend.activate(kind, x.buffer, out);
    return { shape: x.shape, out, saved: { x }, keep: [x.buffer] };
  },

  backward(pass, dy, { x }, { x: dx }, { kind }) {
    if (!dx.needed) return;
    const out = pass.tape.inPlaceOf(dy);
    pass.backend.activationBackward(kind, x.buffer, dy, out);
    dx.give(out);
  },
});
