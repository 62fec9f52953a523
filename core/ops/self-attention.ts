import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { AttentionShape, Sequences } from "../kernels/attention.ts";
import { defineOp } from "../op.ts";
import { checkAttentionShape } from "./attention.ts";

interface Attrs {
  /** Sequences of both queries and keys. */
  readonly packing: Sequences;
  readonly shape: Omit<AttentionShape, "queries" | "keys" | "rowStride">;
}

/**
 * `attention` whose queries, keys and values are columns of one product, read in place: qkv is
 * [N, (H + 2 K) * D] with H heads of queries, then K heads of keys, then K heads of values; out is
 * [N, H * D].
 *
 * Saves qkv, out and one value per row and head.
 */
export const selfAttention = defineOp({
  name: "selfAttention",
  inputs: { qkv: "required" },

  forward(pass, { qkv }, attrs: Attrs, recording) {
    const { packing } = attrs;
    const { heads, keyHeads = heads, headDim } = attrs.shape;
    const [tokens, rowStride] = [packing.tokens, (heads + 2 * keyHeads) * headDim];
    const shape = { ...attrs.shape, queries: packing, keys: packing, rowStride };
    if (qkv.shape[0] !== tokens || qkv.shape[1] !== rowStride)
      throw errors.shape("selfAttention", `qkv must be [${tokens}, ${rowStride}]`, { qkv });
    checkAttentionShape(shape);
    const out = pass.allocate(tokens * heads * headDim);
    const logSumExp = recording ? pass.allocateMaster(heads * tokens) : undefined;
    const inputs = columnsOf(pass, qkv.buffer, shape);
    pass.backend.attention(inputs, { out, logSumExp }, shape);
    const keep = logSumExp ? [qkv.buffer, out, logSumExp, packing.offsets] : [];
    const saved = { qkv: qkv.buffer, inputs, out, logSumExp, shape };
    return { shape: [tokens, heads * headDim], out, saved, keep };
  },

  backward(pass, dout, { qkv, inputs, out, logSumExp, shape }, { qkv: dqkv }) {
    if (!logSumExp || !dqkv.needed) return;
    const gradient = pass.allocate(qkv.length);
    const grads = columnsOf(pass, gradient, shape);
    pass.backend.attentionBackward(dout, { ...inputs, out, logSumExp }, grads, shape);
    dqkv.give(gradient);
  },
});

/** Views of a fused matrix, whose rows begin at the first query, key and value. */
function columnsOf({ backend }: ForwardPass, qkv: Buffer, shape: AttentionShape) {
  const { heads, keyHeads = heads, headDim } = shape;
  const from = (column: number) => {
    const start = Math.min(column, qkv.length); // without rows
    return backend.view(qkv, start, qkv.length - start);
  };
  return { q: qkv, k: from(heads * headDim), v: from((heads + keyHeads) * headDim) };
}
