import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import { elementsOf } from "../tensor.ts";

/** x with another shape of as many elements, in the same buffer: [N, 3C] as [3N, C]. */
export const reshape = defineOp({
  name: "reshape",
  inputs: { x: "required" },

  forward(_pass, { x }, { shape }: { readonly shape: readonly number[] }) {
    if (elementsOf(shape) !== elementsOf(x.shape))
      throw errors.shape("reshape", `x must have the elements of [${shape.join(", ")}]`, { x });
    return { shape, out: x.buffer, saved: {}, keep: [] };
  },

  backward(_pass, dy, _saved, { x: dx }) {
    if (dx.needed) dx.give(dy);
  },
});
