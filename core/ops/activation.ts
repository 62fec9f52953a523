import type { ActivationKind } from "../backend.ts";
import { defineOp } from "../op.ts";
import { type Tensor, elementsOf } from "../tensor.ts";

/** y = f(x) element by element; gelu is the erf form, gelu_new the tanh form. x, y: any shape. Saves x. */
export const activation = defineOp({
  name: "activation",

  forward(pass, [x]: readonly [Tensor], { kind }: { kind: ActivationKind }) {
    const out = pass.allocate(elementsOf(x.shape));
    pass.backend.activate(kind, x.buffer, out);
    return { shape: x.shape, out, saved: { x }, keep: [x.buffer] };
  },

  backward(pass, dy, { x }, [dx], { kind }) {
    if (!dx.needed) return;
    const out = pass.tape.inPlaceOf(dy);
    pass.backend.activationBackward(kind, x.buffer, dy, out);
    dx.give(out);
  },
});
