import type { Backend } from "../../../core/backend.ts";
import { type AttentionShape, longestSequence } from "../../../core/kernels/attention.ts";
import { floats, integers, elements, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

type MultiHead = Pick<Backend, "attention" | "attentionBackward">;

/** kernels/multi-head-forward.c and kernels/multi-head-backward.c */
export const MULTI_HEAD_KERNELS = {
  adl_attention: { args: [P], returns: I },
  adl_attention_bwd: { args: [P], returns: I },
} as const;

/** multi_head_shape of kernels/arguments.h */
export const MULTI_HEAD_SHAPE = {
  sequences: I,
  queries: I,
  keys: I,
  longestQueries: I,
  longestKeys: I,
  queryOffsets: P,
  keyOffsets: P,
  heads: I,
  keyHeads: I,
  headDim: I,
  scale: F,
  causal: I,
  window: I,
  queryStride: L,
  keyStride: L,
  dropout: P,
} as const;

/** multi_head_args of kernels/arguments.h */
export const MULTI_HEAD_ARGS = struct({
  q: P,
  k: P,
  v: P,
  out: P,
  logSumExp: P,
  dout: P,
  dq: P,
  dk: P,
  dv: P,
  ...MULTI_HEAD_SHAPE,
  scratch: P,
});

/** Scratch sizes in floats. */
export const MULTI_HEAD_SIZES = {
  adl_multi_head_scratch: { args: [I, I, I, I, I], returns: SIZE },
} as const;

/** Row strides of q and of k, in elements. */
function stridesOf({ heads, keyHeads = heads, headDim, rowStride }: AttentionShape) {
  return [rowStride ?? heads * headDim, rowStride ?? keyHeads * headDim] as const;
}

/** Element counts, from the first to the last, of q, of k, of out and of logSumExp. */
function counts(shape: AttentionShape) {
  const { queries, keys, heads, keyHeads = heads, headDim } = shape;
  const [queryStride, keyStride] = stridesOf(shape);
  const extent = (rows: number, stride: number, cols: number) =>
    rows === 0 ? 0 : (rows - 1) * stride + cols;
  return {
    ofQueries: extent(queries.tokens, queryStride, heads * headDim),
    ofKeys: extent(keys.tokens, keyStride, keyHeads * headDim),
    ofOut: queries.tokens * heads * headDim,
    rows: heads * queries.tokens,
  };
}

/** The fields of MULTI_HEAD_SHAPE that need no context. */
function shapeFields(shape: AttentionShape) {
  const { queries, keys, heads, keyHeads = heads, headDim, scale } = shape;
  const { sequences } = queries;
  const [queryStride, keyStride] = stridesOf(shape);
  const longestKeys = longestSequence(keys);
  return {
    sequences,
    queries: queries.tokens,
    keys: keys.tokens,
    longestQueries: longestSequence(queries),
    longestKeys,
    queryOffsets: integers(queries.offsets, sequences + 1),
    keyOffsets: integers(keys.offsets, sequences + 1),
    heads,
    keyHeads,
    headDim,
    scale,
    causal: Number(shape.causal),
    window: Math.min(shape.window ?? -1, longestKeys),
    queryStride,
    keyStride,
  };
}

/** Entries of multi-head attention. */
export function multiHead({ library, scratch, dropout: draw }: CpuContext): MultiHead {
  const kernels = typedKernels(library, MULTI_HEAD_KERNELS);
  const sizes = openSizes(library, MULTI_HEAD_SIZES);

  const fieldsOf = (shape: AttentionShape) => {
    const { heads, keyHeads = heads, headDim } = shape;
    const fields = shapeFields(shape);
    const { longestQueries: n, longestKeys: m, window } = fields;
    const needed = sizes.adl_multi_head_scratch(n, m, heads / keyHeads, headDim, window);
    return { ...fields, dropout: draw(shape.dropout), scratch: scratch(Number(needed)) };
  };

  return {
    attention({ q, k, v }, { out, logSumExp }, shape) {
      const { ofQueries, ofKeys, ofOut, rows } = counts(shape);
      const type = typeOf(out);
      kernels(type).adl_attention(
        pack(MULTI_HEAD_ARGS, {
          ...fieldsOf(shape),
          q: elements(q, ofQueries, type),
          k: elements(k, ofKeys, type),
          v: elements(v, ofKeys, type),
          out: target(out, ofOut, type),
          logSumExp: optionalTarget(logSumExp, rows),
          dout: null,
          dq: null,
          dk: null,
          dv: null,
        }),
      );
    },
    attentionBackward(dout, { q, k, v, out, logSumExp }, grads, shape) {
      const { ofQueries, ofKeys, ofOut, rows } = counts(shape);
      const type = typeOf(dout);
      kernels(type).adl_attention_bwd(
        pack(MULTI_HEAD_ARGS, {
          ...fieldsOf(shape),
          q: elements(q, ofQueries, type),
          k: elements(k, ofKeys, type),
          v: elements(v, ofKeys, type),
          out: elements(out, ofOut, type),
          logSumExp: floats(logSumExp, rows),
          dout: elements(dout, ofOut, type),
          dq: target(grads.q, ofQueries, type),
          dk: target(grads.k, ofKeys, type),
          dv: target(grads.v, ofKeys, type),
        }),
      );
    },
  };
}
