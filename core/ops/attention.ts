import type { AttentionShape } from "../kernels/attention.ts";
import { errors, invariant } from "../errors.ts";
import { type InputsOf, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const INPUTS = { q: "required", k: "required", v: "required" } as const;

interface Attrs {
  readonly shape: Omit<AttentionShape, "rowStride">;
}

/**
 * out = dropout(softmax(q k^T / scale)) v within each sequence and head; `AttentionShape` has the
 * details. Queries and keys are packed separately, so that a decoder's rows can attend to an
 * encoder's. q, out: [N, H * D]; k, v: [M, K * D] with K key heads, by default H.
 *
 * Saves q, k, v, out and one value per row and head: backward recomputes the probabilities, which
 * would take n * m per head.
 */
export const attention = defineOp({
  name: "attention",
  inputs: INPUTS,

  forward(pass, { q, k, v }, { shape }: Attrs, recording) {
    checkShapes({ q, k, v }, shape);
    const { queries, keys, heads } = shape;
    const out = pass.allocate(q.buffer.length);
    const logSumExp = recording ? pass.allocateMaster(heads * queries.tokens) : undefined;
    const inputs = { q: q.buffer, k: k.buffer, v: v.buffer };
    pass.backend.attention(inputs, { out, logSumExp }, shape);
    const keep = logSumExp
      ? [...Object.values(inputs), out, logSumExp, queries.offsets, keys.offsets]
      : [];
    return { shape: q.shape, out, saved: { inputs, out, logSumExp }, keep };
  },

  backward(pass, dout, { inputs, out, logSumExp }, sinks, { shape }) {
    if (!logSumExp) return;
    const grads = {
      q: pass.allocate(inputs.q.length),
      k: pass.allocate(inputs.k.length),
      v: pass.allocate(inputs.v.length),
    };
    pass.backend.attentionBackward(dout, { ...inputs, out, logSumExp }, grads, shape);
    for (const name of ["q", "k", "v"] as const)
      if (sinks[name].needed) sinks[name].give(grads[name]);
  },
});

function checkShapes({ q, k, v }: InputsOf<typeof INPUTS>, shape: Attrs["shape"]): void {
  const { queries, keys, heads, keyHeads = heads, headDim } = shape;
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const fits = (x: Tensor, rows: number, cols: number) =>
    x.shape.length === 2 && x.shape[0] === rows && x.shape[1] === cols;
  if (!fits(q, queries.tokens, width))
    throw errors.shape("attention", `q must be [${queries.tokens}, ${width}]`, { q });
  if (!fits(k, keys.tokens, keyWidth) || !fits(v, keys.tokens, keyWidth))
    throw errors.shape("attention", `k and v must be [${keys.tokens}, ${keyWidth}]`, { k, v });
  if (queries.sequences !== keys.sequences) {
    const got = { queries: { shape: [queries.sequences] }, keys: { shape: [keys.sequences] } };
    throw errors.shape("attention", "queries and keys must have the same number of sequences", got);
  }
  checkAttentionShape(shape);
}

/** Throws for heads that do not share key heads evenly, and for a window across two packings. */
export function checkAttentionShape(shape: AttentionShape): void {
  const { queries, keys, heads, keyHeads = heads, window } = shape;
  // A fraction of a head, of too narrow keys, divides evenly too, and would crash a kernel.
  invariant(
    Number.isInteger(keyHeads) && heads % keyHeads === 0,
    () => `${heads} heads of queries do not share ${keyHeads} heads of keys evenly`,
  );
  if (window === undefined) return;
  invariant(Number.isInteger(window) && window >= 0, () => `a window of ${window} keys`);
  const same = queries.hostOffsets.every((offset, b) => offset === keys.hostOffsets[b]);
  invariant(same, "a window needs as many keys as queries in each sequence");
}
