import { invariant } from "../errors.ts";
import { type ActivationKind, activationKinds } from "../kernels/elementwise.ts";
import { defineOp } from "../op.ts";
import { elementsOf } from "../tensor.ts";

/** y = f(x), element-wise. x, y: any shape. Saves x. */
export const activation = defineOp({
  name: "activation",
  inputs: { x: "required" },

  forward(pass, { x }, { kind }: { kind: ActivationKind }) {
    checkActivation(kind);
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

/** Throws for a name that no backend knows: a plugin's types are not checked when it is loaded. */
export function checkActivation(kind: ActivationKind): void {
  invariant(
    activationKinds.includes(kind),
    () => `no activation is called "${kind}": ${activationKinds.join(", ")}`,
  );
}
