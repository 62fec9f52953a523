import type { ActivationKind } from "../backend.ts";
import { defineOp } from "../op.ts";
import { type Tensor, elementsOf } from "../tensor.ts";

/** y = f(x) element by element; gelu is the erf form, gelu_new the tanh form. x, y: any shape. Saves x. */
export const activation = defineOp({
  name: "activation",

  forward(run, [x]: readonly [Tensor], { kind }: { kind: ActivationKind }) {
    const out = run.allocate(elementsOf(x.shape));
    run.backend.activate(kind, x.buffer, out);
    return { shape: x.shape, out, saved: { x }, keep: [x.buffer] };
  },

  backward(run, dy, { x }, [dx], { kind }) {
    if (!dx.needed) return;
    const out = run.tape.inPlaceOf(dy);
    run.backend.activationBackward(kind, x.buffer, dy, out);
    dx.give(out);
  },
});
