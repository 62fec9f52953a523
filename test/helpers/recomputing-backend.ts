import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { probabilityCount } from "../../core/kernels/attention.ts";

/** What its attention saves: integers, fewer than any other buffer has. */
const SAVED = [271, 828, 182] as const;

/**
 * The reference with a choice of its own for disentangled attention: forward saves three integers,
 * backward recomputes the probabilities from the inputs, as a flash-style kernel does. Throws where
 * backward is not handed what its own forward saved, and the `out` that it set.
 */
export function createRecomputingBackend(): Backend {
  const reference = createReferenceBackend();
  const expect = (isSame: boolean, what: string) => {
    if (!isSame) throw new Error(`backward was not handed the ${what} of its forward pass`);
  };
  return {
    ...reference,
    name: "recomputing",
    disentangledSaved: () => ({ dtype: "i32", length: SAVED.length, readsOut: true }),

    disentangledAttention(inputs, { out, saved }, shape) {
      reference.disentangledAttention(inputs, { out, saved: undefined }, shape);
      if (saved) reference.upload(saved, SAVED);
    },

    disentangledAttentionBackward(dout, inputs, { saved, out }, grads, shape) {
      const again = reference.alloc("f64", inputs.q.length);
      const probabilities = reference.alloc("f64", probabilityCount(shape));
      reference.disentangledAttention(inputs, { out: again, saved: probabilities }, shape);
      const rows = shape.queries === "first" ? shape.packing.sequences : shape.packing.tokens;
      const set = rows * shape.heads * shape.headDim; // padding rows follow
      const values = out && reference.download(out);
      const recomputed = reference.download(again);
      expect(values?.length === recomputed.length, "out");
      for (let i = 0; i < set; i++) expect(values?.[i] === recomputed[i], "out");
      const integers = reference.download(saved);
      expect(integers.length === SAVED.length, "saved buffer");
      for (const [i, value] of SAVED.entries()) expect(integers[i] === value, "saved buffer");
      const forward = { saved: probabilities, out: undefined };
      reference.disentangledAttentionBackward(dout, inputs, forward, grads, shape);
      reference.free(again);
      reference.free(probabilities);
    },
  };
}
